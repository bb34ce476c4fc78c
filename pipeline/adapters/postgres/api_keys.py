"""API keys in PostgreSQL: `ports.access.ApiKeyRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.core.access import Scope
from pipeline.ports.access import ApiKey


class PostgresApiKeys:
    """Uses a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool
        self._add = query("add_key")
        self._revoke = query("revoke_key")
        self._list = query("list_keys")
        self._changed = query("changed_keys")

    async def add(
        self, key_id: str, owner: str, scopes: frozenset[Scope], note: str, digest: bytes, expires_at: datetime | None
    ) -> ApiKey:
        async with self._pool.connection() as connection:
            names = sorted(map(str, scopes))
            (row,) = await connection.fetch(self._add, key_id, owner, names, note, digest, expires_at)
            return _key(row)

    async def revoke(self, key_id: str) -> ApiKey | None:
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(self._revoke, key_id)
            return None if row is None else _key(row)

    async def all(self, owner: str | None = None) -> Sequence[ApiKey]:
        async with self._pool.connection() as connection:
            return [_key(row) for row in await connection.fetch(self._list, owner)]

    async def changed_since(self, moment: datetime | None) -> Sequence[ApiKey]:
        async with self._pool.connection() as connection:
            return [_key(row) for row in await connection.fetch(self._changed, moment)]


def _key(row: asyncpg.Record) -> ApiKey:
    """A scope that this release does not know is left out: the key permits less here, never more."""
    scopes = frozenset(Scope(name) for name in row["scopes"] if name in set(Scope))
    fields = {name: row[name] for name in ("key_id", "owner", "note", "digest", "created_at", "changed_at")}
    return ApiKey(**fields, scopes=scopes, expires_at=row["expires_at"], revoked_at=row["revoked_at"])
