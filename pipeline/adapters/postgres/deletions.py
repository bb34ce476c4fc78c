"""What is left of deleted contents, in PostgreSQL: `ports.DeletionRepository`.

Guarantee: a content's row goes and its leftover comes in one statement; who claims a leftover has it alone until its
lease ends, however many ask at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.core.errors import RequestError
from schemas.content import ContentObject
from schemas.deletions import PendingDeletion

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PostgresDeletionRepository:
    """Implements `ports.DeletionRepository` over a pool that it does not own."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool
        self._leave = query("begin_deletion")
        self._claim = query("claim_deletions")
        self._finish = query("finish_deletion")
        self._defer = query("defer_deletion")
        self._page = query("page_deletions")
        self._forget = query("purge_deletions")

    async def leave(self, content_id: str, lease_seconds: float) -> PendingDeletion:
        try:
            key = UUID(content_id)
        except ValueError:
            raise RequestError("CONTENT_NOT_FOUND", content_id=content_id) from None
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(self._leave, key, lease_seconds)
        if row is None:
            raise RequestError("CONTENT_NOT_FOUND", content_id=content_id)
        return _leftover(row)

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[PendingDeletion]:
        async with self._pool.connection() as connection:
            return [_leftover(row) for row in await connection.fetch(self._claim, limit, lease_seconds)]

    async def finish(self, content_id: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(self._finish, UUID(content_id))

    async def defer(self, content_id: str, error: tuple[str, str], after_seconds: float) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(self._defer, UUID(content_id), *error, after_seconds)

    async def page(self, before: tuple[int, str] | None, limit: int) -> Sequence[PendingDeletion]:
        moment = _EPOCH + timedelta(microseconds=before[0]) if before else None
        try:
            last = UUID(before[1]) if before else None
        except ValueError:
            raise RequestError("CURSOR_INVALID") from None
        async with self._pool.connection() as connection:
            return [_leftover(row) for row in await connection.fetch(self._page, moment, last, limit)]

    async def forget(self, done_seconds: float) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(self._forget, done_seconds)


def _leftover(row: asyncpg.Record) -> PendingDeletion:
    return PendingDeletion(
        content_id=str(row["content_id"]),
        content_type=row["content_type"],
        object=ContentObject(
            store=row["store"],
            container=row["container"],
            key=row["object_key"],
            size_bytes=row["size_bytes"],
            etag="",
            segment_count=row["segment_count"],
        ),
        thumbnail=ContentObject.model_validate_json(row["thumbnail"]) if row["thumbnail"] else None,
        deleted_at=row["deleted_at"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        error_code=row["last_code"],
        error=row["last_error"],
    )
