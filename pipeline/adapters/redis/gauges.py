"""The gauges that describe the whole system, read from Redis when /metrics is requested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from pipeline.adapters.arq.queue import DUE_NOW_LEAD
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import members, now_ms
from pipeline.adapters.redis.worker_records import EXPIRES_SECONDS
from pipeline.core.lifecycle import Status
from pipeline.core.stages import LOOPING, OF_VOLUME, WorkerType
from pipeline.telemetry import (
    ADMISSION_AGE_SECONDS,
    OLDEST_SECONDS,
    QUEUE_AGE_SECONDS,
    QUEUE_DEPTH,
    REDIS_AVAILABLE,
    UPLOADS,
    VOLUME_BUDGET,
    VOLUME_DRAINING,
    VOLUME_FREE,
    VOLUME_RESERVATIONS,
    VOLUME_RESERVED,
    VOLUME_WAITING,
    WORKERS,
)

_MAX_WORKERS = 500


def _pools(volumes: Iterable[str]) -> list[tuple[WorkerType, str]]:
    """Every worker type with the volume that it serves; empty for one that serves all."""
    return sorted({(kind, volume if kind in OF_VOLUME else "") for kind in WorkerType for volume in volumes})


class RedisGauges:
    """Sets the gauges of `telemetry` that describe what all processes share. Raises DependencyUnavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._seen: set[tuple[WorkerType, str]] = set()

    async def collect(self) -> None:
        try:
            with translated():
                await self._collect()
        except Exception:  # after any error the figures are out of date; it is raised again
            REDIS_AVAILABLE.set(0)
            raise
        REDIS_AVAILABLE.set(1)

    async def _collect(self) -> None:
        now = await now_ms(self._redis)
        volumes = sorted(await members(self._redis, self._keys.volumes))
        await self._statuses(now)
        await self._volumes(volumes, now)
        await self._workers(volumes, now)
        await self._queues([pool for pool in _pools(volumes) if pool[0] not in LOOPING], now)

    async def _statuses(self, now: int) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for status in Status:
                pipe.zcard(self._keys.status(status))
                pipe.zrange(self._keys.status(status), 0, 0, withscores=True)
            replies = await pipe.execute()
        for status, count, oldest in zip(Status, replies[::2], replies[1::2], strict=True):
            UPLOADS.labels(status).set(count)
            OLDEST_SECONDS.labels(status).set(max(0.0, now - oldest[0][1]) / 1000 if oldest else 0)

    async def _volumes(self, volumes: Sequence[str], now: int) -> None:
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
            if "ran_at_ms" in facts:
                ADMISSION_AGE_SECONDS.labels(volume).set(max(0, now - int(facts["ran_at_ms"])) / 1000)
            VOLUME_DRAINING.labels(volume).set("draining" in facts)

    async def _workers(self, volumes: Sequence[str], now: int) -> None:
        """A volume becomes known to Redis when admission runs, so that one without an admission worker may be known
        from its other workers only."""
        since = now - EXPIRES_SECONDS * 1000
        names = await self._redis.zrangebyscore(self._keys.workers, since, "+inf", start=0, num=_MAX_WORKERS)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(self._keys.worker(name), ["types", "volume"])
            records = [record for record in await pipe.execute() if None not in record]
        self._seen.update(_pools([*volumes, *(volume for _, volume in records)]))
        running = Counter(
            (kind, volume if kind in OF_VOLUME else "") for types, volume in records for kind in types.split(",")
        )
        for kind, volume in self._seen:
            WORKERS.labels(kind, volume).set(running[kind, volume])

    async def _queues(self, pools: Sequence[tuple[WorkerType, str]], now: int) -> None:
        lead_ms = int(DUE_NOW_LEAD.total_seconds() * 1000)
        queues = [self._keys.queue(kind, volume) for kind, volume in pools]
        async with self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.zcard(queue)
                pipe.zrange(queue, 0, 0, withscores=True)
            replies = await pipe.execute()
        for queue, pool, depth, oldest in zip(queues, pools, replies[::2], replies[1::2], strict=True):
            labels = (queue.removeprefix(f"{self._keys.prefix}queue:"), *pool)
            QUEUE_DEPTH.labels(*labels).set(depth)
            QUEUE_AGE_SECONDS.labels(*labels).set(max(0.0, now - lead_ms - oldest[0][1]) / 1000 if oldest else 0)
