"""The state of a cell, read from Redis for operators: `ports.CellOverview`.

Guarantee: a read costs the same however many uploads there are: a few round trips, the first `_QUEUE` uploads that
wait, and the last `_FAILURES` that failed. Nothing is scanned.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.arq.client import read_id
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import now_ms
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.worker_records import EXPIRES_SECONDS
from pipeline.core.lifecycle import Status
from pipeline.core.stages import DISK_BOUND, GRAPH, LOOPING, WorkerType
from schemas.overview import (
    FailureOverview,
    FailuresOverview,
    Overview,
    QueueOverview,
    StageOverview,
    StatusOverview,
    VolumeOverview,
    VolumeSample,
    WaitingUpload,
    WorkerOverview,
)

_QUEUE = 20
_FAILURES = 500
_RATE_MS = 300_000
_WORKERS = 500
_QUEUED_TYPES = [kind for kind in WorkerType if kind not in LOOPING]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(milliseconds: float | str) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(float(milliseconds)))


class RedisOverview:
    """Implements `ports.CellOverview`."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys

    async def read(self, history_after: datetime | None = None) -> Overview:
        now = await now_ms(self._redis)
        after_ms = None if history_after is None else (history_after - _EPOCH) // timedelta(milliseconds=1)
        with translated():
            volumes, statuses, counters, before, alive, ended = await self._first(now)
            stages, rate_ms = _stages(counters, before, now)
            return Overview(
                at=_moment(now),
                volumes=[await self._volume(name, after_ms) for name in volumes],
                statuses=statuses,
                queues=await self._queues(volumes, now),
                stages=stages,
                rate_seconds=None if rate_ms is None else rate_ms / 1000,
                workers=await self._workers(alive),
                failures=await self._failures(ended),
            )

    async def _first(self, now: int) -> tuple[Any, ...]:
        keys = self._keys
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.smembers(keys.volumes)
            pipe.hgetall(keys.stages)
            pipe.zrangebyscore(keys.stage_samples, now - _RATE_MS, "+inf", start=0, num=1)
            pipe.zrangebyscore(
                keys.workers, now - EXPIRES_SECONDS * 1000, "+inf", start=0, num=_WORKERS, withscores=True
            )
            for status in (Status.FAILED, Status.EXPIRED):
                pipe.zrange(keys.status(status), 0, _FAILURES, desc=True, withscores=True)
            for status in Status:
                pipe.zcard(keys.status(status))
                pipe.zrange(keys.status(status), 0, 0, withscores=True)
            volumes, counters, before, alive, failed, expired, *counts = await pipe.execute()
        statuses = [
            StatusOverview(status=str(status), count=count, oldest_since=_moment(oldest[0][1]) if oldest else None)
            for status, count, oldest in zip(Status, counts[::2], counts[1::2], strict=True)
        ]
        ended = sorted([*failed, *expired], key=lambda entry: -float(entry[1]))
        return sorted(volumes), statuses, counters, json.loads(before[0]) if before else None, alive, ended

    async def _volume(self, name: str, after_ms: int | None) -> VolumeOverview:
        key = self._keys.volume(name)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(key)
            pipe.hlen(f"{key}:reservations")
            pipe.zcard(f"{key}:queue")
            pipe.zrangebyscore(self._keys.samples(name), "-inf" if after_ms is None else f"({after_ms}", "+inf")
            facts, holding, waiting, samples = await pipe.execute()
        queue = await self._scripts.call("volume_queue", volume=name, limit=_QUEUE)

        def moment(field: str) -> datetime | None:
            return _moment(facts[field]) if field in facts else None

        return VolumeOverview(
            name=name,
            budget=int(facts.get("budget_bytes", 0)),
            reserved=int(facts.get("reserved_bytes", 0)),
            on_disk=int(facts.get("backed_bytes", 0)),
            free=int(facts.get("free_bytes", 0)),
            measured_at=moment("measured_at_ms"),
            admission_ran_at=moment("ran_at_ms"),
            draining_since=moment("draining_since_ms"),
            holding=holding,
            waiting=waiting,
            queue=[_waiting(item) for item in queue["uploads"] or () if "since_ms" in item],
            history=[_sample(json.loads(item)) for item in samples],
        )

    async def _queues(self, volumes: Sequence[str], now: int) -> list[QueueOverview]:
        queues = {self._keys.queue(kind, name): (kind, name) for kind in _QUEUED_TYPES for name in volumes}
        async with self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.zcard(queue)
                pipe.zrange(queue, 0, 0)
            replies = await pipe.execute()
        first = [read_id(found[0]) if found else None for found in replies[1::2]]
        async with self._redis.pipeline(transaction=False) as pipe:
            for job in first:
                upload_id, stage = job[:2] if job else ("", "")
                pipe.hget(self._keys.upload(upload_id), f"stage.{stage}.queued_at_ms")
            due = await pipe.execute()
        return [
            QueueOverview(
                worker=str(kind),
                volume=name if kind in DISK_BOUND else None,
                depth=depth,
                oldest_due_since=_moment(due_ms) if due_ms and int(due_ms) <= now else None,
            )
            for (kind, name), depth, due_ms in zip(queues.values(), replies[::2], due, strict=True)
        ]

    async def _workers(self, alive: Sequence[tuple[str, float]]) -> list[WorkerOverview]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, _ in alive:
                pipe.hgetall(self._keys.worker(name))
            records = await pipe.execute()
        return [
            WorkerOverview(
                name=name,
                types=record["types"].split(","),
                volume=record["volume"],
                seen_at=_moment(seen_ms),
                confinement=record.get("confinement"),
            )
            for (name, seen_ms), record in sorted(zip(alive, records, strict=True), key=lambda pair: pair[0][0])
            if record
        ]

    async def _failures(self, ended: Sequence[tuple[str, float]]) -> FailuresOverview:
        examined = ended[:_FAILURES]
        async with self._redis.pipeline(transaction=False) as pipe:
            for upload_id, _ in examined:
                pipe.hget(self._keys.upload(upload_id), "error_code")
            codes = await pipe.execute()
        counts = Counter(code for code in codes if code)
        latest: dict[str, tuple[str, float]] = {}
        for entry, code in zip(examined, codes, strict=True):
            latest.setdefault(code, entry)
        return FailuresOverview(
            examined=len(examined),
            complete=len(ended) <= _FAILURES,
            since=_moment(examined[-1][1]) if examined else None,
            codes=[
                FailureOverview(code=code, count=count, latest_at=_moment(latest[code][1]), latest_id=latest[code][0])
                for code, count in counts.most_common()
            ],
        )


def _waiting(item: Mapping[str, Any]) -> WaitingUpload:
    return WaitingUpload(
        id=item["upload_id"],
        owner=item["owner"],
        filename=item["filename"],
        size=int(item["size_bytes"]),
        requested=int(item["requested_bytes"]),
        waiting_since=_moment(item["since_ms"]),
        overtaken=int(item["overtaken"]),
    )


def _sample(taken: Mapping[str, str]) -> VolumeSample:
    return VolumeSample(
        at=_moment(taken["at_ms"]),
        budget=int(taken["budget_bytes"]),
        reserved=int(taken["reserved_bytes"]),
        on_disk=int(taken["backed_bytes"]),
        free=int(taken["free_bytes"]),
        waiting=int(taken["waiting"]),
        holding=int(taken["reservations"]),
    )


def _stages(
    counters: Mapping[str, str], before: Mapping[str, str] | None, now: int
) -> tuple[list[StageOverview], int | None]:
    """The counters of every stage, with rates since the sample `before`, and the time since then."""
    passed_ms = now - int(before["at_ms"]) if before else 0

    def total(name: str) -> int:
        return int(counters.get(name, 0))

    def since(name: str) -> int:
        """0 after Redis has lost its data."""
        return max(0, total(name) - int((before or {}).get(name, 0)))

    stages = []
    for stage, spec in GRAPH.items():
        started = since(f"{stage}.started")
        stages.append(
            StageOverview(
                stage=str(stage),
                worker=str(spec.worker),
                done=total(f"{stage}.done"),
                retried=total(f"{stage}.retried"),
                failed=total(f"{stage}.failed"),
                taken_over=total(f"{stage}.taken_over"),
                done_per_minute=round(since(f"{stage}.done") * 60_000 / passed_ms, 2) if passed_ms > 0 else None,
                wait_seconds=since(f"{stage}.waited_ms") / started / 1000 if passed_ms > 0 and started else None,
            )
        )
    return stages, passed_ms if passed_ms > 0 else None
