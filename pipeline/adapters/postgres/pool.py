"""A pool of connections that is opened on first use, so that a process can start while PostgreSQL is unavailable; and
the queries by name.

Guarantee: with `migrates`, no connection is handed out before the schema is up to date, whichever process starts first
and however late PostgreSQL becomes available. A caller waits a bounded time, however many callers there are.

A connection may lead to a pooler such as PgBouncer in transaction mode, where each transaction may run on another
server connection. Therefore all statements of a borrowed connection run in one transaction, the driver prepares no
statement that outlives it (`statement_cache_size=0`), and nothing sets or resets the state of a session. That holds for
direct connections too: it is one way that every test uses, and no schema change makes a cached plan invalid.

After a server has refused a write because it is read-only (a primary that was demoted), no connection that the pool has
is used again: new ones lead to the primary, by another host of the URL or another address of its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources

import asyncpg

from pipeline.adapters.postgres.connecting import Hosts
from pipeline.adapters.postgres.errors import translated, values_translated
from pipeline.adapters.postgres.migrate import connected, migrate
from pipeline.core.errors import SluiceError

_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 15.0
# Applying migrations may take longer; it continues.
_OPEN_SECONDS = 10.0


@cache
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
        self._opening: asyncio.Task[asyncpg.Pool] | None = None

    def terminate(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Borrow a connection for one transaction: committed when the block ends, rolled back when it raises. Errors
        inside the block are translated too. Raises DependencyUnavailable, DatabaseRejected."""
        raised: SluiceError | None = None
        with translated():
            pool = await self._opened()
            try:
                async with pool.acquire(timeout=_CONNECT_SECONDS) as connection, connection.transaction():
                    try:
                        with values_translated():
                            yield connection
                    except SluiceError as error:
                        raised = error
                        raise
            except Exception as error:
                if _is_demoted(error):  # its other connections lead to the same server
                    await pool.expire_connections()
                if raised is not None:  # ending the transaction may have failed too, which says less
                    raise raised from None
                raise

    @asynccontextmanager
    async def new_connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection beside the pool, for one transaction that is always rolled back: what a new process would meet.
        Raises DependencyUnavailable."""
        with translated():
            await self._opened()
            async with connected(self._database_url) as connection:
                transaction = connection.transaction()
                await transaction.start()
                with translated():
                    yield connection
                await transaction.rollback()

    async def _opened(self) -> asyncpg.Pool:
        """The pool. Callers that come while it is being opened wait for the same attempt."""
        if self._pool is not None:
            return self._pool
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._keep)
        opening = self._opening
        await asyncio.wait({opening}, timeout=_OPEN_SECONDS)
        if not opening.done():
            raise TimeoutError(f"the schema is not up to date after {_OPEN_SECONDS:.0f} s")
        return opening.result()

    def _keep(self, opening: asyncio.Task[asyncpg.Pool]) -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._pool = opening.result()

    async def _open(self) -> asyncpg.Pool:
        if self._migrates:
            await migrate(self._database_url)
        return await asyncpg.create_pool(
            self._database_url,
            connect=Hosts(self._database_url).connect,
            min_size=0,
            max_size=self._connections,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            statement_cache_size=0,
            reset=_reset_nothing,
        )


def _is_demoted(error: Exception) -> bool:
    """Whether the server refuses to write: it was the primary, and another one is now."""
    cause = error.__cause__ if isinstance(error, SluiceError) else error
    return isinstance(cause, asyncpg.ReadOnlySQLTransactionError)


async def _reset_nothing(connection: asyncpg.Connection) -> None:
    """Replaces asyncpg's reset of a returned connection: no session has a state, and a pooler may send the reset to the
    session of another program."""
