"""`QueueWorker` on a real Redis: it starts a job at once, never loses a slot, and runs each job once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.bootstrap import RedisParts
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.model import StageJob
from pipeline.core.stages import WorkerType
from tests.contract.redis.queue_workers import Engine, a_little_work, is_empty, new_job, working
from tests.contract.redis.uploads import until

pytestmark = pytest.mark.integration

# Polling alone (once a second) would take half a second at the median.
_IDLE_TO_START_SECONDS = 0.2


async def test_an_idle_worker_starts_a_job_at_once(
    parts: RedisParts, redis_url: str, record_property: Callable[[str, object], None]
) -> None:
    started = asyncio.Event()

    async def note(job: StageJob) -> None:
        started.set()

    took: list[float] = []
    async with working(parts, redis_url, Engine(note)) as worker:
        for _ in range(40):
            await until(lambda: not any(not task.done() for task in worker.tasks.values()))
            started.clear()
            began = time.monotonic()
            await parts.queue.enqueue(new_job())
            async with asyncio.timeout(10):
                await started.wait()
            took.append(time.monotonic() - began)
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    record_property("idle_to_start_p50_ms", round(p50 * 1000, 1))
    record_property("idle_to_start_p95_ms", round(p95 * 1000, 1))
    print(f"idle to start: p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms")  # noqa: T201 -- shown by pytest -rP
    assert p50 < _IDLE_TO_START_SECONDS


async def test_many_jobs_over_few_slots_all_run_once(parts: RedisParts, redis_url: str) -> None:
    engine = Engine(lambda job: a_little_work(parts))
    jobs = [new_job() for _ in range(200)]
    async with working(parts, redis_url, engine, max_jobs=4):
        await asyncio.gather(*(parts.queue.enqueue(job) for job in jobs))
        await until(lambda: len(engine.ran) == len(jobs), seconds=60)

        async def done() -> bool:
            return await is_empty(parts)

        await until(done)
    assert engine.ran == Counter({job.job_id: 1 for job in jobs})
    assert 1 < engine.most <= 4


async def test_jobs_that_only_wait_do_not_count(parts: RedisParts, redis_url: str) -> None:
    """Each job that begins to wait makes room for another one, up to eight times as many."""
    idle, end = 0, asyncio.Event()

    async def wait(job: StageJob) -> None:
        nonlocal idle
        idle += 1
        worker.wake()
        await end.wait()

    engine = Engine(wait)
    async with working(parts, redis_url, engine, max_jobs=2, idle_jobs=lambda: idle) as worker:
        for _ in range(30):
            await parts.queue.enqueue(new_job())
        await until(lambda: engine.running == 16)
        await a_little_work(parts)
        assert engine.most == 16
        idle = 0
        end.set()
        await until(lambda: len(engine.ran) == 30)
    assert engine.most == 16


async def test_workers_of_one_queue_share_its_jobs(parts: RedisParts, redis_url: str) -> None:
    first, second = (Engine(lambda job: a_little_work(parts)) for _ in range(2))
    jobs = [new_job() for _ in range(60)]
    async with working(parts, redis_url, first, max_jobs=2), working(parts, redis_url, second, max_jobs=2):
        for job in jobs:
            await parts.queue.enqueue(job)
        await until(lambda: len(first.ran) + len(second.ran) == len(jobs), seconds=60)
    assert first.ran + second.ran == Counter({job.job_id: 1 for job in jobs})
    assert first.ran
    assert second.ran


async def test_a_job_whose_claimer_died_is_run(parts: RedisParts, redis_url: str) -> None:
    """A worker claimed it and was killed before it started the stage; the board enqueues it again."""
    engine, job = Engine(), new_job()
    await parts.queue.enqueue(job)
    await parts.queue.discard(job)  # what a claim leaves in Redis: nothing
    async with working(parts, redis_url, engine):
        await parts.queue.enqueue(job)
        await until(lambda: engine.ran[job.job_id] == 1)

        async def nothing_left() -> bool:
            return not [key async for key in parts.client.scan_iter(f"*{job.job_id}*", count=1000)]

        await until(nothing_left)


async def test_a_second_copy_of_a_running_job_waits_for_its_end(parts: RedisParts, redis_url: str) -> None:
    """The board refuses the second run its lease, unless the first one could not start the stage."""
    gate = asyncio.Event()

    async def until_open(job: StageJob) -> None:
        await gate.wait()

    engine, job = Engine(until_open), new_job()
    async with working(parts, redis_url, engine) as worker:
        await parts.queue.enqueue(job)
        await until(lambda: engine.running == 1)
        await parts.queue.enqueue(job)
        await worker._poll_iteration()
        assert (engine.running, await is_empty(parts)) == (1, False)
        gate.set()
        await until(lambda: engine.ran[job.job_id] == 2)


async def test_a_claimed_job_leaves_nothing_in_redis_while_it_runs(parts: RedisParts, redis_url: str) -> None:
    """Whenever its worker dies, there is nothing to remove."""
    engine, job = Engine(), new_job()

    async def keys() -> list[str]:
        return [key async for key in parts.client.scan_iter(f"*{job.job_id}*", count=1000)]

    found: list[list[str]] = []

    async def look(job: StageJob) -> None:
        found.append([*await keys(), *await parts.client.zrange(parts.keys.queue(WorkerType.PROBE, "local"), 0, -1)])

    engine = Engine(look)
    async with working(parts, redis_url, engine):
        await parts.queue.enqueue(job)
        await until(lambda: bool(found))
    assert found == [[]]


async def test_jobs_of_an_unknown_stage_stay_for_a_worker_that_knows_it(parts: RedisParts, redis_url: str) -> None:
    engine, queue = Engine(), parts.keys.queue(WorkerType.PROBE, "local")
    unknown, job = f"{new_job().upload_id}:checksum:1", new_job()
    await parts.client.zadd(queue, {unknown: 1})
    await parts.queue.enqueue(job)
    async with working(parts, redis_url, engine, max_jobs=1):
        await until(lambda: engine.ran[job.job_id] == 1)
    assert await parts.client.zrange(queue, 0, -1) == [unknown]


async def test_a_crash_in_the_engine_does_not_end_the_worker(parts: RedisParts, redis_url: str) -> None:
    async def crash(job: StageJob) -> None:
        raise RuntimeError("a bug")

    engine = Engine(crash)
    async with working(parts, redis_url, engine, max_jobs=2) as worker:
        for _ in range(6):
            await parts.queue.enqueue(new_job())
        await until(lambda: len(engine.ran) == 6)
        await until(lambda: worker.job_counter == 0)


async def test_slots_survive_a_restart_of_redis(redis_server: EmbeddedStack, parts: RedisParts, redis_url: str) -> None:
    """Redis restarts while the worker claims and finishes jobs; afterwards all slots must be usable at once."""
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    max_jobs = 4
    gate = asyncio.Event()
    gate.set()

    async def work(job: StageJob) -> None:
        with suppress(DependencyUnavailable):
            await a_little_work(parts)
        await gate.wait()

    engine = Engine(work)

    async def answers() -> bool:
        with suppress(DependencyUnavailable):
            await parts.ledger.epoch()
            return True
        return False

    async with working(parts, redis_url, engine, max_jobs) as worker:
        for wanted in (20, 40, 60):
            await asyncio.gather(*(parts.queue.enqueue(new_job()) for _ in range(100)))
            await until(lambda wanted=wanted: len(engine.ran) >= wanted)
            redis_server.stop_process("redis")
            redis_server.start_process("redis")
            await until(answers)
        gate.clear()
        engine.most = engine.running
        for job in [new_job() for _ in range(3 * max_jobs)]:
            await parts.queue.enqueue(job)
        await until(lambda: engine.running == max_jobs, seconds=30)
        assert worker.job_counter == max_jobs
        gate.set()
        await until(lambda: worker.job_counter == 0, seconds=30)
    assert engine.most == max_jobs, "never more than max_jobs"
    assert set(engine.ran.values()) == {1}
