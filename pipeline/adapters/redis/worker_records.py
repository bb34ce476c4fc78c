"""The records of running worker processes in Redis, which dashboards read (`schemas/status.py`)."""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys

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
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=dict(record))
                pipe.expire(key, _EXPIRES_SECONDS)
                await pipe.execute()

    async def remove(self, name: str) -> None:
        """Idempotent."""
        with translated():
            await self._redis.delete(self._keys.worker(name))
