"""A pool of connections that is created on first use, so that a process can start while PostgreSQL is unavailable; and
the queries by name.

Guarantee: with `migrates`, no connection is handed out before the schema is up to date, whichever process starts first
and however late PostgreSQL becomes available.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import asyncpg

from pipeline.adapters.postgres.errors import translated
from pipeline.adapters.postgres.migrate import migrate

_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 15.0


def query(name: str) -> str:
    """The text of `queries/NAME.sql`."""
    return (resources.files(__package__) / "queries" / f"{name}.sql").read_text("utf-8")


class LazyPool:
    """A pool of at most `connections` connections; with `migrates`, pending migrations are applied first."""

    def __init__(self, database_url: str, connections: int, *, migrates: bool = False) -> None:
        self._database_url = database_url
        self._connections = connections
        self._migrates = migrates
        self._pool: asyncpg.Pool | None = None
        self._creating = asyncio.Lock()

    def terminate(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Borrow a connection; errors inside the block are translated too. Raises DependencyUnavailable."""
        with translated():
            if self._pool is None:
                async with self._creating:
                    if self._pool is None:
                        if self._migrates:
                            await migrate(self._database_url)
                        self._pool = await asyncpg.create_pool(
                            self._database_url,
                            min_size=0,
                            max_size=self._connections,
                            timeout=_CONNECT_SECONDS,
                            command_timeout=_COMMAND_SECONDS,
                        )
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as connection:
                yield connection
