"""Plain reads of Redis, with errors translated and with exact types: redis-py types its synchronous and asynchronous
clients as one. A reply of another type is none of Redis', and an outage too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import InvalidResponse

from pipeline.adapters.redis.errors import translated

T = TypeVar("T")


def expect(kind: type[T], reply: Any) -> T:
    """`reply`, if it is of this type. Call it inside `translated`. Raises InvalidResponse."""
    if not isinstance(reply, kind):
        raise InvalidResponse(f"the reply is {str(reply)[:80]!r}, not a {kind.__name__}")
    return reply


async def hash_all(redis: Redis, key: str) -> dict[str, str]:
    with translated():
        return expect(dict, await redis.hgetall(key))  # type: ignore[misc]  # see above


async def hash_get_many(redis: Redis, key: str, fields: Sequence[str]) -> list[str | None]:
    with translated():
        values: list[str | None] = expect(list, await redis.hmget(key, list(fields)))  # type: ignore[misc]  # see above
        if len(values) != len(fields):
            raise InvalidResponse(f"the reply has {len(values)} values, not {len(fields)}")
        return values


async def members(redis: Redis, key: str) -> set[str]:
    with translated():
        return expect(set, await redis.smembers(key))  # type: ignore[misc]  # see above


async def now_ms(redis: Redis) -> int:
    """Redis' clock, milliseconds since 1970."""
    with translated():
        seconds, micros = expect(tuple, await redis.time())
        return int(seconds) * 1000 + int(micros) // 1000
