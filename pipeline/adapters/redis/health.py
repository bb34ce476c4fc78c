"""Whether Redis accepts what Sluice sends: reads alone would succeed on a server that refuses every write.

Guarantee: a check ends within `_LIMIT_SECONDS`, leaves nothing in Redis, and names the problem. However often it is
asked for, it runs once per `_VALID_SECONDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.adapters.redis.errors import translated, unavailable
from pipeline.adapters.redis.greeting import refusal
from pipeline.adapters.redis.pool import transaction
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.errors import DependencyUnavailable

_LIMIT_SECONDS = 6.0
_VALID_SECONDS = 1.0
# Another check may have the key deleted meanwhile; nothing but a check that is killed leaves it to expire.
_KEPT_MS = 5_000


class RedisHealth:
    """Checks one Redis. `keys` are written and deleted: one of each kind that the user needs a right to."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Sequence[str]) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._checking = asyncio.Lock()
        self._valid_until = 0.0
        self._problem: DependencyUnavailable | None = None

    async def check(self) -> None:
        """Raises DependencyUnavailable; `detail.redis_code` is the code of Redis' reply."""
        clock = asyncio.get_running_loop().time
        async with self._checking:
            if clock() >= self._valid_until:
                self._problem = await self._examine()
                self._valid_until = clock() + _VALID_SECONDS
            if self._problem is not None:
                raise self._problem

    async def _examine(self) -> DependencyUnavailable | None:
        try:
            with translated():
                async with asyncio.timeout(_LIMIT_SECONDS):
                    await self._write()
                    await self._scripts.probe()
        except DependencyUnavailable as error:
            return await self.named(error)
        return None

    async def _write(self) -> None:
        """Plain commands too: Redis 6 lets a script write where it refuses plain commands (NOREPLICAS)."""
        async with transaction(self._redis) as pipe:
            for key in self._keys:
                pipe.set(key, "", px=_KEPT_MS)
                pipe.delete(key)
            await pipe.execute()

    async def named(self, error: DependencyUnavailable) -> DependencyUnavailable:
        """The same problem, with its code if the server refuses connections. Such a server says so to a client
        that sends nothing; otherwise its reply is lost when it closes the connection."""
        if not isinstance(error.__cause__, RedisConnectionError) or error.detail.get("redis_code"):
            return error
        refused = await refusal(self._redis.connection_pool.connection_kwargs)
        return unavailable(refused) if refused else error
