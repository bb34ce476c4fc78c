"""Connections to Redis that are opened side by side.

Guarantee: whoever needs a connection waits for his own alone. redis-py opens them under the pool's lock, so that with a
Redis that takes connections and answers nothing, the hundredth caller would wait a hundred times as long as the first.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool


class SideBySidePool(ConnectionPool):
    """Taking a connection from the list awaits nothing, so that it needs no lock."""

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection
