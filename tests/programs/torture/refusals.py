"""Faults of servers that run and refuse what they are asked: PostgreSQL by its settings, Redis by its state.

Guarantee: `heal` restores the server also after an `inject` that was interrupted.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg
from redis.asyncio import Redis

from tests.harness.faults.redis import REDIS_FAULTS

_ROUNDS = 5
_ROUND_SECONDS = 0.1
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = $1 AND pid <> pg_backend_pid() AND application_name <> $2
"""
_OURS = "fault"
"""The application name of the connections that faults open."""


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, server_settings={"application_name": _OURS})


def _name(url: str) -> str:
    """The name of the database."""
    return url.rpartition("/")[2]


def _administration(url: str) -> str:
    """The database that always exists, on the same server."""
    return f"{url.rpartition('/')[0]}/postgres"


class ChangeDatabase:
    """Changes a setting of one database, and ends its sessions, so that new ones have the setting."""

    def __init__(self, url: str, name: str, value: str) -> None:
        self._url, self._setting, self._value = url, name, value

    async def inject(self) -> None:
        await self._change(f"SET {self._setting} = '{self._value}'")

    async def heal(self) -> None:
        await self._change(f"RESET {self._setting}")

    async def _change(self, clause: str) -> None:
        connection = await _connect(_administration(self._url))
        try:
            await connection.execute(f'ALTER DATABASE "{_name(self._url)}" {clause}')
            await connection.fetch(_END_SESSIONS, _name(self._url), _OURS)
        finally:
            await connection.close()


class FillConnections:
    """Takes every connection that the server allows, those that are reserved for superusers too."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._held: list[asyncpg.Connection] = []

    async def inject(self) -> None:
        await self._fill()
        for _ in range(_ROUNDS):  # processes that lost a connection try to get it back
            await self._held[0].fetch(_END_SESSIONS, _name(self._url), _OURS)
            await self._fill()
            await asyncio.sleep(_ROUND_SECONDS)

    async def heal(self) -> None:
        for connection in self._held:
            connection.terminate()

    async def _fill(self) -> None:
        try:
            while True:
                self._held.append(await _connect(_administration(self._url)))
        except asyncpg.TooManyConnectionsError:
            return


class RefuseInRedis:
    """Brings Redis to one of the states of `REDIS_FAULTS`."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis, self._during = redis, REDIS_FAULTS[name].during
        self._states = AsyncExitStack()

    async def inject(self) -> None:
        await self._states.enter_async_context(self._during(self._redis))

    async def heal(self) -> None:
        await self._states.aclose()
