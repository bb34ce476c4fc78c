"""Connections to Redis: a pool that opens them in parallel, and transactions that leave none behind in MULTI.

Guarantee: a caller waits for its own connection only, and a connection comes back to the pool ready for any command.
redis-py opens connections under the pool's lock: if Redis accepts connections and does not respond, the hundredth
caller waits a hundred times as long as the first. It also keeps a connection whose EXEC was refused: the server may
still be in MULTI there, and then it responds to every later command with QUEUED.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection, ConnectionPool


class SideBySidePool(ConnectionPool):
    """Taking a connection from the list does not await, so it needs no lock."""

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection


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
