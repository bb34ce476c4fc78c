"""A pool of connections that is made when it is first needed, so that a process can start while PostgreSQL is away; and
the queries, by their names.

Guarantee: where the pool migrates, nobody uses the database before its schema is up to date, whichever process comes
first and however late PostgreSQL does.
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
    """Up to `connections` connections; with `migrates`, the schema is brought up to date before the first."""

    def __init__(self, database_url: str, connections: int, *, migrates: bool = False) -> None:
        self._database_url = database_url
        self._connections = connections
        self._migrates = migrates
        self._pool: asyncpg.Pool | None = None
        self._making = asyncio.Lock()

    def terminate(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """One connection, errors translated. Raises DependencyUnavailable."""
        with translated():
            if self._pool is None:
                async with self._making:
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
