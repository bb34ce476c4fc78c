"""Plain reads and writes of Redis, with errors translated and with exact types: redis-py types its synchronous and
asynchronous clients as one."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import cast

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated


async def hash_all(redis: Redis, key: str) -> dict[str, str]:
    with translated():
        return await cast("Awaitable[dict[str, str]]", redis.hgetall(key))


async def hash_get_many(redis: Redis, key: str, fields: Sequence[str]) -> list[str | None]:
    with translated():
        return await cast("Awaitable[list[str | None]]", redis.hmget(key, list(fields)))


async def members(redis: Redis, key: str) -> set[str]:
    with translated():
        return await cast("Awaitable[set[str]]", redis.smembers(key))


async def now_ms(redis: Redis) -> int:
    """Redis' clock, milliseconds since 1970."""
    with translated():
        seconds, micros = await redis.time()
        return int(seconds) * 1000 + int(micros) // 1000
