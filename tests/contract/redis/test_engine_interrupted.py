"""The stage engine on the real boards and queue: a run that is stopped, cancelled or loses Redis."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.core import stages
from pipeline.core.lifecycle import Event
from pipeline.core.stages import GRAPH, Stage, StageState, WorkerType
from pipeline.engine import engine as engine_module
from pipeline.engine import heartbeat as heartbeat_module
from pipeline.engine.contract import Outcome, Requeue, StageRun
from tests.contract.redis.engines import LongWork, assemble_job, engine_of, latest, queued_jobs, upload_of
from tests.contract.redis.uploads import Play, until
from tests.harness.losing import LosesCancellations

pytestmark = pytest.mark.integration


async def test_an_attempt_that_exceeds_its_timeout_is_cancelled(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    graph: Any = stages.GRAPH
    monkeypatch.setitem(graph, Stage.ASSEMBLE, replace(GRAPH[Stage.ASSEMBLE], timeout_seconds=0.05))
    ended: list[str] = []

    async def work(run: StageRun) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")
        raise AssertionError

    job = await assemble_job(play)
    await engine_of(play, work).run(job)
    status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (status.state, status.error_code) == (StageState.QUEUED, "STAGE_TIMEOUT")
    assert ended == ["cleaned up"]


async def test_an_attempt_that_exceeds_its_timeout_ends_although_a_cancellation_is_lost(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph: Any = stages.GRAPH
    monkeypatch.setitem(graph, Stage.ASSEMBLE, replace(GRAPH[Stage.ASSEMBLE], timeout_seconds=0.05))
    monkeypatch.setattr(engine_module, "WORK_AGAIN_SECONDS", 0.05)
    losing = LosesCancellations()

    async def work(run: StageRun) -> Outcome:
        await losing()
        raise AssertionError

    job = await assemble_job(play)
    async with asyncio.timeout(60):
        await engine_of(play, work).run(job)
    assert losing.cancellations == 2
    status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (status.state, status.error_code) == (StageState.QUEUED, "STAGE_TIMEOUT")


async def test_a_run_that_is_cancelled_repeatedly_is_requeued(play: Play) -> None:
    losing = LosesCancellations()

    async def work(run: StageRun) -> Outcome:
        await losing()
        raise AssertionError

    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work).run(job))
    await losing.running.wait()
    async with asyncio.timeout(60):
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
    assert task.cancelled()
    assert await queued_jobs(play, WorkerType.ASSEMBLE) == {await latest(play, job, Stage.ASSEMBLE)}


async def test_the_end_of_the_upload_stops_the_run(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "HEARTBEATS_PER_LEASE", 600)
    running, may_end, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
            await may_end.wait()
        raise AssertionError

    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work, play.impatient(lease_ms=60_000)).run(job))
    await running.wait()
    await play.board.apply(job.upload_id, Event.CANCEL)
    async with asyncio.timeout(60):
        await stopped.wait()
        assert await play.parts.ended.idle(job.upload_id) is None, "it may still write"
        may_end.set()
        await task
    assert await play.parts.ended.idle(job.upload_id)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.STOPPED


async def test_a_stopping_worker_requeues_its_stage(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        await run.stop.wait()
        return Requeue()

    job = await assemble_job(play)
    engine = engine_of(play, work)
    task = asyncio.create_task(engine.run(job))
    engine.stop.set()
    await task
    status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (status.state, status.error_code) == (StageState.QUEUED, None)
    assert status.fencing_token > job.fencing_token
    assert await queued_jobs(play, WorkerType.ASSEMBLE) == {await latest(play, job, Stage.ASSEMBLE)}


async def test_a_cancelled_run_is_requeued(play: Play) -> None:
    running = asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        await asyncio.Event().wait()
        raise AssertionError

    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work).run(job))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await queued_jobs(play, WorkerType.ASSEMBLE) == {await latest(play, job, Stage.ASSEMBLE)}


async def test_finished_work_survives_a_restart_of_redis(redis_server: EmbeddedStack, play: Play) -> None:
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    work = LongWork()
    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work).run(job))
    await work.running.wait()
    redis_server.stop_process("redis")
    work.end.set()
    for _ in range(20):  # the engine tries to record the result while Redis is down
        await asyncio.sleep(0)
    redis_server.start_process("redis")
    async with asyncio.timeout(60):
        await task
    assert (await play.stages.results(job.upload_id))[Stage.ASSEMBLE] == {"answer": 42}


async def test_a_worker_that_stops_while_redis_is_unavailable_ends_in_time(
    redis_server: EmbeddedStack, play: Play
) -> None:
    """It cannot requeue its stage; the lease lapses, and the stage is taken over."""
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    work = LongWork()
    job = await assemble_job(play)
    brief = play.impatient(lease_ms=300)
    engine = engine_of(play, work, brief)
    task = asyncio.create_task(engine.run(job))
    await work.running.wait()
    redis_server.stop_process("redis")
    try:
        engine.stop.set()
        work.end.set()
        async with asyncio.timeout(60):
            await task
    finally:
        redis_server.start_process("redis")

    async def taken_over() -> bool:
        return any(item.job.upload_id == job.upload_id and item.dead_token for item in await brief.overdue(10))

    await until(taken_over)
