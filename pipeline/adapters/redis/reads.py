"""Plain reads of Redis, with errors translated and with exact types: redis-py types its synchronous and asynchronous
clients as one. A reply of another type is none of Redis', and an outage too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
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


async def hash_all_and_one(redis: Redis, key: str, other_key: str, field: str) -> tuple[dict[str, str], str | None]:
    """A hash, and one field of another, in one round trip."""
    with translated():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(key)
            pipe.hget(other_key, field)
            replies = expect(list, await pipe.execute())
        if len(replies) != 2:
            raise InvalidResponse(f"there are {len(replies)} replies to two commands")
        return expect(dict, replies[0]), None if replies[1] is None else expect(str, replies[1])


Question = Callable[[Pipeline, str], object]
"""Adds one command about a key to a pipeline."""


async def ask_each(redis: Redis, keys: Sequence[str], question: Question) -> list[bool]:
    """Whether the reply to `question` about each key is true, in one round trip."""
    with translated():
        async with redis.pipeline(transaction=False) as pipe:
            for key in keys:
                question(pipe, key)
            return [bool(reply) for reply in await pipe.execute()]


async def members(redis: Redis, key: str) -> set[str]:
    with translated():
        return expect(set, await redis.smembers(key))  # type: ignore[misc]  # see above


async def now_ms(redis: Redis) -> int:
    """Redis' clock, milliseconds since 1970."""
    with translated():
        seconds, micros = expect(tuple, await redis.time())
        return int(seconds) * 1000 + int(micros) // 1000
