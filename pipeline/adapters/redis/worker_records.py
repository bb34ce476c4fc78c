"""The records of running worker processes in Redis, which dashboards read (`schemas/status.py`)."""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.pool import transaction
from pipeline.adapters.redis.reads import now_ms

# Three heartbeats: one that comes late does not make a worker look dead.
EXPIRES_SECONDS = 15


class RedisWorkerRecords:
    """One record per process, which expires unless it is written every few seconds. Raises DependencyUnavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def write(self, name: str, record: Mapping[str, str]) -> None:
        key = self._keys.worker(name)
        with translated():
            now = await now_ms(self._redis)
            if record.get("confinement") == "incomplete":
                await self._note_unconfined(name, record["volume"], now)
            async with transaction(self._redis) as pipe:
                pipe.hset(key, mapping=dict(record))
                pipe.expire(key, EXPIRES_SECONDS)
                self._note_alive(pipe, self._keys.workers, name, now)
                await pipe.execute()

    async def unconfined(self, volume: str) -> list[str]:
        """Names of the running workers of this volume whose media reader is not confined completely."""
        with translated():
            since = await now_ms(self._redis) - EXPIRES_SECONDS * 1000
            return [str(name) for name in await self._redis.zrangebyscore(self._keys.unconfined(volume), since, "+inf")]

    async def remove(self, name: str) -> None:
        """Idempotent."""
        with translated():
            async with transaction(self._redis) as pipe:
                pipe.delete(self._keys.worker(name))
                pipe.zrem(self._keys.workers, name)
                await pipe.execute()

    async def _note_unconfined(self, name: str, volume: str, now: int) -> None:
        async with transaction(self._redis) as pipe:
            self._note_alive(pipe, self._keys.unconfined(volume), name, now)
            await pipe.execute()

    @staticmethod
    def _note_alive(pipe: Pipeline, key: str, name: str, now: int) -> None:
        """Add the process to a set of those that are alive, without those that are not."""
        pipe.zremrangebyscore(key, "-inf", now - EXPIRES_SECONDS * 1000)
        pipe.zadd(key, {name: now})
        pipe.expire(key, EXPIRES_SECONDS)
