"""A pool that opens connections to Redis in parallel.

Guarantee: a caller waits for its own connection only. redis-py opens connections under the pool's lock: if Redis
accepts connections and does not respond, the hundredth caller waits a hundred times as long as the first.
"""

from __future__ import annotations

from typing import Any

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
