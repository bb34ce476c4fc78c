"""Connections to Redis: a bounded pool that opens them in parallel, and transactions that leave none behind in MULTI.

Guarantee: a process never has more than `max_connections` of a pool. A caller that finds them all in use waits
`WAIT_SECONDS` for one, in order of arrival, and then gets an error as for a Redis that does not respond. Otherwise a
caller waits for its own connection only, and a connection comes back to the pool ready for any command. redis-py opens
connections under the pool's lock: if Redis accepts connections and does not respond, the hundredth caller waits a
hundred times as long as the first. It also keeps a connection whose EXEC was refused: the server may still be in MULTI
there, and then it responds to every later command with QUEUED.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

WAIT_SECONDS: Final = 5.0


class SideBySidePool(ConnectionPool):
    """Taking a connection from the list does not await, so it needs no lock. `max_connections` must be given."""

    def __init__(self, *, max_connections: int, **options: Any) -> None:
        super().__init__(max_connections=max_connections, **options)
        self._slots = asyncio.Semaphore(max_connections)

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            reason = f"all {self.max_connections} connections of this process are in use (SLUICE_REDIS_CONNECTIONS)"
            raise RedisConnectionError(reason) from None
        connection: AbstractConnection | None = None
        try:
            connection = self.get_available_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
            await self.ensure_connection(connection)
        except BaseException:
            if connection is None:
                self._slots.release()
            else:
                await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Give a connection back. Its slot is free even if the caller is cancelled meanwhile."""
        try:
            await super().release(connection)
        finally:
            self._slots.release()


class _Transaction(Pipeline):
    """A pipeline that closes its connection when the transaction fails."""

    async def _execute_transaction(self, connection: Any, commands: Any, raise_on_error: Any) -> Any:
        try:
            return await super()._execute_transaction(connection, commands, raise_on_error)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise


def transaction(redis: Redis) -> Pipeline:
    """A pipeline that runs completely or not at all (MULTI, EXEC)."""
    return _Transaction(redis.connection_pool, redis.response_callbacks, True, None)
