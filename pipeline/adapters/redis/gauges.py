"""The gauges that describe the whole system, read from Redis when /metrics is requested."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from pipeline.adapters.arq.queue import DUE_NOW_LEAD
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import members, now_ms
from pipeline.core.lifecycle import Status
from pipeline.core.stages import LOOPING, WorkerType
from pipeline.telemetry import (
    OLDEST_SECONDS,
    QUEUE_AGE_SECONDS,
    QUEUE_DEPTH,
    UPLOADS,
    VOLUME_BUDGET,
    VOLUME_FREE,
    VOLUME_RESERVATIONS,
    VOLUME_RESERVED,
    VOLUME_WAITING,
)

_QUEUED_TYPES = [kind for kind in WorkerType if kind not in LOOPING]


class RedisGauges:
    """Sets the gauges of `telemetry` that describe what all processes share. Raises DependencyUnavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def collect(self) -> None:
        with translated():
            now = await now_ms(self._redis)
            volumes = sorted(await members(self._redis, self._keys.volumes))
            await self._statuses(now)
            await self._volumes(volumes)
            await self._queues({self._keys.queue(kind, volume) for kind in _QUEUED_TYPES for volume in volumes}, now)

    async def _statuses(self, now: int) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for status in Status:
                pipe.zcard(self._keys.status(status))
                pipe.zrange(self._keys.status(status), 0, 0, withscores=True)
            replies = await pipe.execute()
        for status, count, oldest in zip(Status, replies[::2], replies[1::2], strict=True):
            UPLOADS.labels(status).set(count)
            OLDEST_SECONDS.labels(status).set(max(0.0, now - oldest[0][1]) / 1000 if oldest else 0)

    async def _volumes(self, volumes: Sequence[str]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for volume in volumes:
                pipe.hgetall(self._keys.volume(volume))
                pipe.hlen(f"{self._keys.volume(volume)}:reservations")
                pipe.zcard(f"{self._keys.volume(volume)}:queue")
            replies = await pipe.execute()
        for volume, facts, held, waiting in zip(volumes, replies[::3], replies[1::3], replies[2::3], strict=True):
            VOLUME_BUDGET.labels(volume).set(int(facts.get("budget_bytes", 0)))
            VOLUME_RESERVED.labels(volume).set(int(facts.get("reserved_bytes", 0)))
            VOLUME_FREE.labels(volume).set(int(facts.get("free_bytes", 0)))
            VOLUME_RESERVATIONS.labels(volume).set(held)
            VOLUME_WAITING.labels(volume).set(waiting)

    async def _queues(self, queues: set[str], now: int) -> None:
        names = sorted(queues)
        lead_ms = int(DUE_NOW_LEAD.total_seconds() * 1000)
        async with self._redis.pipeline(transaction=False) as pipe:
            for queue in names:
                pipe.zcard(queue)
                pipe.zrange(queue, 0, 0, withscores=True)
            replies = await pipe.execute()
        for queue, depth, oldest in zip(names, replies[::2], replies[1::2], strict=True):
            label = queue.removeprefix(f"{self._keys.prefix}queue:")
            QUEUE_DEPTH.labels(label).set(depth)
            QUEUE_AGE_SECONDS.labels(label).set(max(0.0, now - lead_ms - oldest[0][1]) / 1000 if oldest else 0)
