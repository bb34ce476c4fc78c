"""A `QueueWorker` on a real Redis, with an engine that counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from uuid6 import uuid7

from pipeline.adapters.arq.worker import QueueWorker
from pipeline.bootstrap import RedisParts
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, WorkerType

Run = Callable[[StageJob], Awaitable[None]]


class Engine:
    """Stands in for `StageEngine`: counts each job, then calls `then`."""

    def __init__(self, then: Run | None = None) -> None:
        self.ran: Counter[str] = Counter()
        self.running = 0
        self.most = 0
        self._then = then

    async def run(self, job: StageJob) -> None:
        self.ran[job.job_id] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self._then:
                await self._then(job)
        finally:
            self.running -= 1


@asynccontextmanager
async def working(
    parts: RedisParts, redis_url: str, engine: Engine, max_jobs: int = 4, idle_jobs: Callable[[], int] = lambda: 0
) -> AsyncIterator[QueueWorker]:
    """A worker of the probe queue while the block runs."""
    queue = parts.keys.queue(WorkerType.PROBE, "local")
    worker = QueueWorker(redis_url, queue, engine.run, parts.signals, max_jobs, 60, idle_jobs)
    task = asyncio.create_task(worker.main())
    try:
        yield worker
        assert not worker.allow_pick_jobs or not task.done(), "the worker has ended by itself"
    finally:
        await worker.drain(5)
        await task
        await worker.disconnect()


def new_job() -> StageJob:
    return StageJob(str(uuid7()), Stage.PROBE, 1, "local")


async def a_little_work(parts: RedisParts) -> None:
    for _ in range(5):
        await parts.ledger.epoch()


async def is_empty(parts: RedisParts) -> bool:
    return not await parts.client.zcard(parts.keys.queue(WorkerType.PROBE, "local"))
