"""Whether PostgreSQL can be used, and if not, why.

Guarantee: `attempt` writes what persist and a deletion write, in a transaction that is rolled back, so that nothing of
it is ever visible. It meets what they would meet: a cancelled statement, a read-only server, a full disk, a missing
table, a missing privilege, a trigger that fails; and, because its connection is new, a connection limit. `problem`
asks PostgreSQL at most once in a few seconds, however often it is called, and does not wait for a slow one: readiness
probes give up after a second, and a gateway must not leave a load balancer because the database is slow.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg

from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.core.errors import SluiceError
from pipeline.tasks import end_tasks

LEAST_STATEMENT_MS = 1_000
"""A shorter statement_timeout cancels statements of a busy server."""

_SECONDS = 2.0
_WAIT_SECONDS = 0.3
_KEPT_SECONDS = 5.0


async def attempt(connection: asyncpg.Connection) -> None:
    """Write a content and begin its deletion; the caller rolls back. Raises what the driver raises."""
    content_id = uuid4()
    await connection.execute(query("check_content"), content_id)
    await connection.execute(query("insert_segments"), content_id, [1], [0], [""], [None], [None], [None])
    await connection.fetchrow(query("begin_deletion"), content_id, 1.0, None)
    await connection.execute(query("webhook_add_event"), "", "", "", content_id, None, "", datetime.now(UTC), "")


async def statement_timeout_ms(connection: asyncpg.Connection) -> int:
    """The server's limit of one statement, for this user and database; 0: none."""
    return int(await connection.fetchval("SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"))


class DatabaseHealth:
    """The health of the database behind `pool`, for readiness probes."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool
        self._asking: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self._valid_until = 0.0

    async def problem(self) -> str | None:
        """Why contents cannot be written, as a sentence without a full stop; None: they can, or nothing is known yet.
        While PostgreSQL is being asked again, the last result counts."""
        if self._asking is None and time.monotonic() >= self._valid_until:
            self._asking = asyncio.create_task(self._refresh())
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=_WAIT_SECONDS)
        return self._problem

    async def aclose(self) -> None:
        """Ask no longer."""
        await end_tasks(self._asking)

    async def _refresh(self) -> None:
        try:
            self._problem = await self._ask()
            self._valid_until = time.monotonic() + _KEPT_SECONDS
        finally:
            self._asking = None

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(_SECONDS), self._pool.new_connection() as connection:
                await attempt(connection)
                limit_ms = await statement_timeout_ms(connection)
        except TimeoutError:
            return f"PostgreSQL did not respond within {_SECONDS:.0f} s"
        except SluiceError as error:
            return error.message.rstrip(".")
        if 0 < limit_ms < LEAST_STATEMENT_MS:
            return f"PostgreSQL cancels statements that take longer than {limit_ms} ms (statement_timeout)"
        return None
