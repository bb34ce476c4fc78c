"""Questions that a comparison of rows with objects asks PostgreSQL: `ports.contents.ContentAudit`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from pipeline.adapters.postgres.pool import LazyPool, query


class PostgresContentAudit:
    """Implements `ports.contents.ContentAudit` with a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool
        self._sample = query("sample_contents")
        self._claimed = query("claimed_uploads")
        self._claimed_parts = query("claimed_parts")

    async def sample(self, count: int) -> Sequence[str]:
        async with self._pool.connection() as connection:
            return [str(row["id"]) for row in await connection.fetch(self._sample, count)]

    async def claimed(self, upload_ids: Collection[str]) -> Collection[str]:
        return await self._ids(self._claimed, upload_ids)

    async def claimed_parts(self, upload_ids: Collection[str]) -> Collection[str]:
        return await self._ids(self._claimed_parts, upload_ids)

    async def _ids(self, text: str, upload_ids: Collection[str]) -> Collection[str]:
        """Names as they were given: an id may be written in more than one way."""
        if not upload_ids:
            return frozenset()
        names: dict[UUID, list[str]] = {}
        for name in upload_ids:
            names.setdefault(UUID(name), []).append(name)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(text, list(names))
        return {name for row in rows for name in names[row["id"]]}
