"""`QueueWorker` on a real Redis: draining ends it in time, and no job is lost."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.bootstrap import RedisParts
from pipeline.core.model import StageJob
from pipeline.core.stages import WorkerType
from tests.contract.redis.queue_workers import Engine, a_little_work, is_empty, new_job, working
from tests.contract.redis.uploads import until

pytestmark = pytest.mark.integration


async def test_drain_lets_jobs_finish_and_claims_no_more(parts: RedisParts, redis_url: str) -> None:
    gate = asyncio.Event()

    async def until_open(job: StageJob) -> None:
        await gate.wait()

    engine = Engine(until_open)
    async with working(parts, redis_url, engine, max_jobs=2) as worker:
        jobs = [new_job() for _ in range(4)]
        for job in jobs:
            await parts.queue.enqueue(job)
        await until(lambda: engine.running == 2)
        draining = asyncio.create_task(worker.drain(10))
        await asyncio.sleep(0)
        gate.set()
        await draining
        assert (engine.running, len(engine.ran)) == (0, 2)
        assert await parts.client.zcard(parts.keys.queue(WorkerType.PROBE, "local")) == 2, "left for other workers"


async def test_drain_stops_a_busy_worker(parts: RedisParts, redis_url: str) -> None:
    """Jobs end and others start as fast as they can; after the drain none runs and none starts."""
    engine = Engine(lambda job: a_little_work(parts))
    for _ in range(5):
        await asyncio.gather(*(parts.queue.enqueue(new_job()) for _ in range(60)))
        async with working(parts, redis_url, engine, max_jobs=8) as worker:
            already = len(engine.ran)
            await until(lambda already=already: len(engine.ran) > already + 5)
            await worker.drain(10)
            ran = len(engine.ran)
            assert engine.running == 0
            await until(lambda worker=worker: worker.job_counter == 0)  # counted by callbacks of the jobs
        assert len(engine.ran) == ran
        assert all(task.done() for task in worker.tasks.values())
    assert set(engine.ran.values()) == {1}


async def test_drain_cancels_a_job_that_does_not_finish(parts: RedisParts, redis_url: str) -> None:
    cancelled: list[str] = []

    async def never_ends(job: StageJob) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(job.job_id)
            raise

    engine, job = Engine(never_ends), new_job()
    async with working(parts, redis_url, engine) as worker:
        await parts.queue.enqueue(job)
        await until(lambda: engine.running == 1)
        await worker.drain(0.05)
        assert cancelled == [job.job_id]
        assert await is_empty(parts), "the engine requeues it under another token"
