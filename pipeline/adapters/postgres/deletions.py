"""Pending deletions in PostgreSQL: `ports.DeletionRepository`.

Guarantee: one statement deletes a content's row and inserts its pending deletion. A caller that claims a pending
deletion holds it alone until its lease ends, however many callers claim at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.content_events import record_deleted
from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.adapters.postgres.rows import content_uuid, object_of, page_position, storable_text, thumbnail_of
from pipeline.core.errors import RequestError
from schemas.deletions import PendingDeletion

_LONGEST_SECONDS = 7 * 24 * 3600.0
# To count more costs more than the figure is worth.
_COUNTED = 100_000


class PostgresDeletionRepository:
    """Implements `ports.DeletionRepository` with a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool
        self._begin = query("begin_deletion")
        self._claim = query("claim_deletions")
        self._finish = query("finish_deletion")
        self._defer = query("defer_deletion")
        self._page = query("page_deletions")
        self._count = query("count_deletions")
        self._purge = query("purge_deletions")

    async def begin(self, content_id: str, lease_seconds: float, owner: str | None) -> PendingDeletion:
        key = content_uuid(content_id)
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(self._begin, key, lease_seconds, owner)
            if row is None:
                raise RequestError("CONTENT_NOT_FOUND", content_id=content_id)
            deletion = _pending_deletion(row)
            await record_deleted(connection, deletion)
            return deletion

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[PendingDeletion]:
        async with self._pool.connection() as connection:
            return [_pending_deletion(row) for row in await connection.fetch(self._claim, limit, lease_seconds)]

    async def finish(self, content_id: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(self._finish, UUID(content_id))

    async def defer(self, content_id: str, error: tuple[str, str], after_seconds: float) -> None:
        code, message = error
        seconds = min(after_seconds, _LONGEST_SECONDS)
        async with self._pool.connection() as connection:
            await connection.execute(self._defer, UUID(content_id), code, storable_text(message), seconds)

    async def page(self, before: tuple[int, str] | None, limit: int) -> Sequence[PendingDeletion]:
        moment, last = page_position(before)
        async with self._pool.connection() as connection:
            return [_pending_deletion(row) for row in await connection.fetch(self._page, moment, last, limit)]

    async def backlog(self) -> tuple[int, float]:
        async with self._pool.connection() as connection:
            (row,) = await connection.fetch(self._count, _COUNTED)
            return int(row["pending"]), float(row["oldest_seconds"])

    async def purge(self, done_seconds: float) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(self._purge, done_seconds)


def _pending_deletion(row: asyncpg.Record) -> PendingDeletion:
    return PendingDeletion(
        content_id=str(row["content_id"]),
        content_type=row["content_type"],
        owner=row["owner"],
        object=object_of(row, etag=""),
        thumbnail=thumbnail_of(row),
        parts=[str(part) for part in row["parts"]],
        deleted_at=row["deleted_at"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        error_code=row["last_code"],
        error=row["last_error"],
    )
