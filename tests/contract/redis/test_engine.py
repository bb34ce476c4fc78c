"""The stage engine over the real boards and queue: what the end of a run means, however it comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.core import stages
from pipeline.core.errors import DependencyUnavailable, MediaError, SluiceError, StoreUnavailable
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob, Upload
from pipeline.core.retry import Patience
from pipeline.core.stages import GRAPH, Stage, StageState, WorkerType
from pipeline.ports import StageBoard
from pipeline.stages.engine import StageEngine
from pipeline.stages.run import Done, HandBack, Idle, Outcome, Skipped, StageHandler, StageRun
from tests.contract.redis.uploads import Play, until

pytestmark = pytest.mark.integration


def engine_of(
    play: Play, work: StageHandler, stages: StageBoard | None = None, stage: Stage = Stage.ASSEMBLE
) -> StageEngine:
    return StageEngine(stages or play.stages, play.board, play.parts.queue, {stage: work}, "worker")


async def assemble_job(play: Play) -> StageJob:
    return (await play.receive_all(await play.admitted(1)))[Stage.ASSEMBLE]


async def upload_of(play: Play, job: StageJob) -> Upload:
    return await play.board.get(job.upload_id)


async def latest(play: Play, job: StageJob, stage: Stage) -> str:
    """The id of the job of a stage's latest run."""
    return StageJob(job.upload_id, stage, (await upload_of(play, job)).stages[stage].generation, job.volume).job_id


async def queued_jobs(play: Play, worker: WorkerType) -> set[str]:
    return set(await play.parts.client.zrange(play.parts.keys.queue(worker, "local"), 0, -1))


async def test_what_is_done_starts_what_follows(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        assert run.upload.stages[Stage.ASSEMBLE].state is StageState.RUNNING
        assert run.upload.stages[Stage.ASSEMBLE].worker == "worker"
        return Done({"answer": 42})

    job = await assemble_job(play)
    await engine_of(play, work).run(job)
    assert (await play.stages.results(job.upload_id))[Stage.ASSEMBLE] == {"answer": 42}
    assert await queued_jobs(play, WorkerType.PROBE) == {await latest(play, job, Stage.PROBE)}


async def test_what_is_skipped_leaves_no_result(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        return Skipped()

    job = await assemble_job(play)
    await engine_of(play, work).run(job)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.SKIPPED
    assert await play.stages.results(job.upload_id) == {}
    assert await queued_jobs(play, WorkerType.PROBE)


async def test_a_job_that_is_no_longer_the_latest_is_not_run(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise AssertionError("it ran")

    job = await assemble_job(play)
    later = await play.stages.hand_back(await play.started(job))
    await engine_of(play, work).run(job)
    await play.board.apply(job.upload_id, Event.CANCEL)
    await engine_of(play, work).run(later)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].error_code is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SluiceError("MEDIA_TOOL_FAILED", tool="-", reason="-"), "MEDIA_TOOL_FAILED"),
        (ValueError("a bug"), "STAGE_CRASHED"),
    ],
    ids=["retryable", "crash"],
)
async def test_a_failed_attempt_comes_again_until_there_were_enough(play: Play, error: Exception, code: str) -> None:
    attempts: list[int] = []

    async def work(run: StageRun) -> Outcome:
        attempts.append(run.upload.stages[Stage.ASSEMBLE].attempt)
        raise error

    job = await assemble_job(play)
    engine = engine_of(play, work)
    for attempt in range(1, GRAPH[Stage.ASSEMBLE].max_attempts + 1):
        await engine.run(job)
        status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
        assert status.error_code == code
        if attempt < GRAPH[Stage.ASSEMBLE].max_attempts:
            assert status.state is StageState.QUEUED
            again = StageJob(job.upload_id, job.stage, status.generation, job.volume)
            due = await play.parts.client.zscore(play.parts.keys.queue(WorkerType.ASSEMBLE, "local"), again.job_id)
            assert due is not None, "it is on its way already, with its time"
            job = again
    assert attempts == [1, 2, 3, 4]
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, code)


async def _again(play: Play, job: StageJob) -> StageJob:
    """The run that follows."""
    status = (await upload_of(play, job)).stages[job.stage]
    assert status.state is StageState.QUEUED, status
    return StageJob(job.upload_id, job.stage, status.generation, job.volume)


@pytest.mark.parametrize(
    "error", [StoreUnavailable(reason="503"), DependencyUnavailable("DATABASE_UNAVAILABLE", reason="gone")], ids=repr
)
async def test_what_is_away_is_waited_for_by_the_clock(play: Play, error: SluiceError) -> None:
    """However many attempts that takes; and they do not count against what the stage itself gets wrong."""
    errors = [*[error] * 10, ValueError("a bug"), *[error] * 10, *[ValueError("a bug")] * 2]

    async def work(run: StageRun) -> Outcome:
        if errors:
            raise errors.pop(0)
        return Done()

    job = await assemble_job(play)
    engine = engine_of(play, work)
    while errors:
        await engine.run(job)
        job = await _again(play, job)
    before = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (before.attempt, before.outages) == (23, 20)
    await engine.run(job)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE


async def test_patience_ends(play: Play) -> None:
    error = StoreUnavailable(reason="503")

    async def work(run: StageRun) -> Outcome:
        raise error

    job = await assemble_job(play)
    engine = StageEngine(
        play.stages, play.board, play.parts.queue, {Stage.ASSEMBLE: work}, "worker", Patience(store_seconds=0.3)
    )
    runs = 0

    async def failed() -> bool:
        nonlocal job, runs
        await engine.run(job)
        runs += 1
        if (await upload_of(play, job)).status is Status.FAILED:
            return True
        job = await _again(play, job)
        return False

    await until(failed)
    assert runs > 1
    upload = await upload_of(play, job)
    assert (upload.error_code, upload.error_message) == (error.code, error.message)


async def test_what_cannot_succeed_is_not_tried_again(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise MediaError("NOT_MEDIA", reason="it is a letter")

    job = await assemble_job(play)
    await engine_of(play, work).run(job)
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, "NOT_MEDIA")
    assert failed.error_message == "The file is no video, image or audio that can be read: it is a letter."


async def test_an_attempt_that_takes_too_long_is_stopped(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_the_end_of_the_upload_stops_the_run(play: Play) -> None:
    running, stopped = asyncio.Event(), asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work, play.impatient(lease_ms=400)).run(job))
    await running.wait()
    await play.board.apply(job.upload_id, Event.CANCEL)
    assert await play.parts.ended.busy(job.upload_id), "it may still write"
    async with asyncio.timeout(5):
        await task
    assert stopped.is_set()
    assert not await play.parts.ended.busy(job.upload_id)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.STOPPED


async def test_a_live_run_keeps_its_lease(play: Play) -> None:
    """For several times as long as the lease."""
    running, end = asyncio.Event(), asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        await end.wait()
        return Done()

    job = await assemble_job(play)
    brief = play.impatient(lease_ms=1_000)
    task = asyncio.create_task(engine_of(play, work, brief).run(job))
    await running.wait()
    leases = f"{play.parts.keys.prefix}stage-leases"
    member = f"{job.upload_id}|assemble|{job.generation}"
    first = await play.parts.client.zscore(leases, member)
    assert first is not None

    async def renewed_for_long() -> bool:
        assert list(await brief.overdue(10)) == []
        until_ms = await play.parts.client.zscore(leases, member)
        return until_ms is not None and float(until_ms) > first + 2_000

    await until(renewed_for_long)
    end.set()
    await task
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE


async def test_a_worker_that_is_told_to_stop_hands_back(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        await run.stop.wait()
        return HandBack()

    job = await assemble_job(play)
    engine = engine_of(play, work)
    task = asyncio.create_task(engine.run(job))
    engine.stop.set()
    await task
    status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (status.state, status.error_code) == (StageState.QUEUED, None)
    assert status.generation > job.generation
    assert await queued_jobs(play, WorkerType.ASSEMBLE) == {await latest(play, job, Stage.ASSEMBLE)}


async def test_a_run_that_is_cancelled_is_handed_back(play: Play) -> None:
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


async def test_a_run_that_fell_idle_has_told_the_board_itself(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        await play.store(run.job, run.upload, [1])
        assert await play.stages.idle(run.job)
        return Idle()

    upload = await play.admitted(2)
    job = (await play.receive(upload, 1)).jobs[0]
    await engine_of(play, work, stage=Stage.TRANSFER).run(job)
    assert (await upload_of(play, job)).stages[Stage.TRANSFER].state is StageState.IDLE


async def test_a_file_that_kills_its_worker_every_time_fails_in_the_end(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise AssertionError("it ran once more")

    job = await assemble_job(play)
    await play.parts.client.hset(  # type: ignore[misc]  # redis-py types sync and async in one
        play.parts.keys.upload(job.upload_id), "stage.assemble.takeovers", "21"
    )
    await engine_of(play, work).run(job)
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, "STAGE_CRASHED")


async def test_work_that_is_done_outlives_a_restart_of_redis(redis_server: EmbeddedStack, play: Play) -> None:
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    running, end = asyncio.Event(), asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        await end.wait()
        return Done({"answer": 42})

    job = await assemble_job(play)
    task = asyncio.create_task(engine_of(play, work).run(job))
    await running.wait()
    redis_server.stop_process("redis")
    end.set()
    for _ in range(20):  # it says that it is done, and is not heard
        await asyncio.sleep(0)
    redis_server.start_process("redis")
    async with asyncio.timeout(10):
        await task
    assert (await play.stages.results(job.upload_id))[Stage.ASSEMBLE] == {"answer": 42}


async def test_a_worker_that_stops_while_redis_is_away_ends_in_peace(redis_server: EmbeddedStack, play: Play) -> None:
    """Nobody can be told; the lease lapses, and somebody else goes on."""
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    running, end = asyncio.Event(), asyncio.Event()

    async def work(run: StageRun) -> Outcome:
        running.set()
        await end.wait()
        return Done()

    job = await assemble_job(play)
    brief = play.impatient(lease_ms=300)
    engine = engine_of(play, work, brief)
    task = asyncio.create_task(engine.run(job))
    await running.wait()
    redis_server.stop_process("redis")
    try:
        engine.stop.set()
        end.set()
        async with asyncio.timeout(10):
            await task
    finally:
        redis_server.start_process("redis")

    async def taken_over() -> bool:
        return any(item.job.upload_id == job.upload_id and item.dead_generation for item in await brief.overdue(10))

    await until(taken_over)
