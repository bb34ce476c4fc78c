"""The records of running worker processes in Redis, which dashboards read (`schemas/status.py`)."""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.pool import transaction
from pipeline.adapters.redis.reads import now_ms

# Three heartbeats: one that comes late does not make a worker look dead.
_EXPIRES_SECONDS = 15


class RedisWorkerRecords:
    """One record per process, which expires unless it is written every few seconds. Raises DependencyUnavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def write(self, name: str, record: Mapping[str, str]) -> None:
        key = self._keys.worker(name)
        with translated():
            if record.get("confinement") == "incomplete":
                await self._note_unconfined(name, record["volume"])
            async with transaction(self._redis) as pipe:
                pipe.hset(key, mapping=dict(record))
                pipe.expire(key, _EXPIRES_SECONDS)
                await pipe.execute()

    async def unconfined(self, volume: str) -> list[str]:
        """Names of the running workers of this volume whose media reader is not confined completely."""
        with translated():
            since = await now_ms(self._redis) - _EXPIRES_SECONDS * 1000
            return [str(name) for name in await self._redis.zrangebyscore(self._keys.unconfined(volume), since, "+inf")]

    async def remove(self, name: str) -> None:
        """Idempotent."""
        with translated():
            await self._redis.delete(self._keys.worker(name))

    async def _note_unconfined(self, name: str, volume: str) -> None:
        key, now = self._keys.unconfined(volume), await now_ms(self._redis)
        async with transaction(self._redis) as pipe:
            pipe.zremrangebyscore(key, "-inf", now - _EXPIRES_SECONDS * 1000)
            pipe.zadd(key, {name: now})
            pipe.expire(key, _EXPIRES_SECONDS)
            await pipe.execute()
