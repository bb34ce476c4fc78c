"""The stage engine on the real boards and queue: the outcomes of a run."""

from __future__ import annotations

import asyncio
import errno

import pytest

from pipeline.core.errors import (
    DependencyUnavailable,
    MediaError,
    SluiceError,
    StoreError,
    StoreUnavailable,
    TempVolumeError,
)
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob
from pipeline.core.retry import OutageBudget
from pipeline.core.stages import GRAPH, Stage, StageState, WorkerType
from pipeline.engine.contract import Done, Idle, Outcome, Parked, Skipped, StageRun
from pipeline.engine.engine import EngineRules, StageEngine
from tests.contract.redis.engines import (
    LongWork,
    Records,
    assemble_job,
    engine_of,
    latest,
    probe_job,
    queued_jobs,
    upload_of,
)
from tests.contract.redis.uploads import Play, until
from tests.harness.redis_calls import reply

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("plain_logs")]


async def test_a_finished_stage_starts_its_successors(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        assert run.upload.stages[Stage.PROBE].state is StageState.RUNNING
        assert run.upload.stages[Stage.PROBE].worker == "worker"
        return Done({"answer": 42})

    job = await probe_job(play)
    await engine_of(play, work, stage=Stage.PROBE).run(job)
    assert (await play.stages.results(job.upload_id))[Stage.PROBE] == {"answer": 42}
    assert await queued_jobs(play, WorkerType.THUMBNAIL) == {await latest(play, job, Stage.THUMBNAIL)}


@pytest.mark.parametrize("other", [{"key": "thumbnail"}, None], ids=["done", "skipped"])
async def test_a_run_may_finish_another_stage_too(play: Play, other: dict[str, str] | None) -> None:
    async def work(run: StageRun) -> Outcome:
        return Done({"answer": 42}, also={Stage.THUMBNAIL: other})

    job = await probe_job(play)
    await engine_of(play, work, stage=Stage.PROBE).run(job)
    status = (await upload_of(play, job)).stages[Stage.THUMBNAIL]
    assert status.state is (StageState.SKIPPED if other is None else StageState.DONE)
    assert status.finished_at_ms is not None
    assert (await play.stages.results(job.upload_id)).get(Stage.THUMBNAIL) == other
    assert not await queued_jobs(play, WorkerType.THUMBNAIL)


async def test_the_engine_records_nothing_after_parking(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        assert await play.stages.park(run.job, [2], None)
        return Parked()

    upload = await play.admitted(2)
    job = play.by_stage((await play.receive(upload, 1)).jobs)[Stage.PROBE]
    await engine_of(play, work, stage=Stage.PROBE).run(job)
    status = (await upload_of(play, job)).stages[Stage.PROBE]
    assert (status.state, status.waits_for, status.attempt) == (StageState.IDLE, "segments", 1)


async def test_a_skipped_stage_has_no_result(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        return Skipped()

    job = await probe_job(play)
    await engine_of(play, work, stage=Stage.PROBE).run(job)
    assert (await upload_of(play, job)).stages[Stage.PROBE].state is StageState.SKIPPED
    assert await play.stages.results(job.upload_id) == {}
    assert await queued_jobs(play, WorkerType.THUMBNAIL)


async def test_a_job_with_an_old_fencing_token_is_not_run(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise AssertionError("it ran")

    job = await assemble_job(play)
    later = await play.stages.requeue(await play.started(job))
    await engine_of(play, work).run(job)
    await play.board.apply(job.upload_id, Event.CANCEL)
    await engine_of(play, work).run(later)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].error_code is None


async def test_a_failed_attempt_is_retried_up_to_the_limit(play: Play) -> None:
    attempts: list[int] = []
    error, code = StoreError("MANIFEST_REFUSED", reason="-"), "MANIFEST_REFUSED"

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
            again = StageJob(job.upload_id, job.stage, status.fencing_token, job.volume)
            due = await play.parts.client.zscore(play.parts.keys.queue(WorkerType.ASSEMBLE, "local"), again.job_id)
            assert due is not None, "the job is in the queue, with its due time"
            job = again
    assert attempts == [1, 2, 3, 4]
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, code)


async def _again(play: Play, job: StageJob) -> StageJob:
    """The job of the next run."""
    status = (await upload_of(play, job)).stages[job.stage]
    assert status.state is StageState.QUEUED, status
    return StageJob(job.upload_id, job.stage, status.fencing_token, job.volume)


BUGS = [
    ValueError("a bug"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    OSError(errno.EMFILE, "Too many open files"),
    TimeoutError(),
    asyncio.IncompleteReadError(b"", 1),
    ExceptionGroup("several", [KeyError("a")]),
    SluiceError("MEDIA_TOOL_FAILED", tool="The media reader", reason="its host has exited"),
    SluiceError("STAGE_TIMEOUT", stage="assemble", timeout_seconds=1),
]


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable(reason="503"), DependencyUnavailable("DATABASE_UNAVAILABLE", reason="gone"), *BUGS],
    ids=repr,
)
async def test_an_outage_is_bounded_by_time_not_by_attempts(play: Play, error: Exception) -> None:
    """Attempts that fail because of the outage, or unexpectedly, do not count towards the limit of the stage's own
    failures."""
    own = StoreError("MANIFEST_REFUSED", reason="-")
    errors = [*[error] * 5, own, *[error] * 5, own, own]

    async def work(run: StageRun) -> Outcome:
        if errors:
            raise errors.pop(0)
        return Done()

    job = await assemble_job(play)
    engine = engine_of(play, work)
    while errors:
        await engine.run(job)
        job = await _again(play, job)
        if isinstance(error, SluiceError):
            assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].error_code in (error.code, own.code)
    before = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (before.attempt, before.outages) == (13, 10)
    await engine.run(job)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE


@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreUnavailable(reason="503"), "STORE_UNAVAILABLE"), *[(bug, "STAGE_CRASHED") for bug in BUGS[:3]]],
    ids=repr,
)
async def test_an_outage_longer_than_its_budget_fails_the_upload(play: Play, error: Exception, code: str) -> None:

    async def work(run: StageRun) -> Outcome:
        raise error

    job = await assemble_job(play)
    budget = OutageBudget(store_seconds=0.3, worker_seconds=0.3)
    engine = StageEngine(
        play.stages, play.parts.queue, {Stage.ASSEMBLE: work}, Records(), EngineRules("worker", budget)
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
    assert runs >= 4
    upload = await upload_of(play, job)
    assert upload.error_code == code
    assert upload.keeps_stored is (code == "STAGE_CRASHED")


async def test_an_upload_does_not_fail_by_records_that_redis_has_restored(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise TempVolumeError("TEMP_FILE_MISSING")

    job, records = await assemble_job(play), Records(current=False)
    engine = engine_of(play, work, records=records)
    for _ in range(3):
        await engine.run(job)
        job = await _again(play, job)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].error_code == "TEMP_FILE_MISSING"
    records.current = True
    await engine.run(job)
    assert (await upload_of(play, job)).error_code == "TEMP_FILE_MISSING"


async def test_an_error_that_is_not_retryable_is_not_retried(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise MediaError("NOT_MEDIA", reason="it is a letter")

    job = await assemble_job(play)
    await engine_of(play, work).run(job)
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, "NOT_MEDIA")
    assert failed.error_message == "The file is not a video, image or audio file that can be read: it is a letter."


async def test_a_live_run_keeps_its_lease(play: Play) -> None:
    work = LongWork()
    job = await assemble_job(play)
    board = play.impatient(lease_ms=8_000)
    task = asyncio.create_task(engine_of(play, work, board).run(job))
    await work.running.wait()
    leases = f"{play.parts.keys.prefix}stage-leases"
    member = f"{job.upload_id}|assemble|{job.fencing_token}"
    until_ms = [float(await play.parts.client.zscore(leases, member) or 0)]

    async def renewed_twice() -> bool:
        score = float(await play.parts.client.zscore(leases, member) or 0)
        if score != until_ms[-1]:
            until_ms.append(score)
        return len(until_ms) == 3

    await until(renewed_twice)
    assert 0 < until_ms[0] < until_ms[1] < until_ms[2]
    assert list(await board.overdue(10)) == []
    work.end.set()
    await task
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE


async def test_the_engine_records_nothing_after_idle(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        await play.store(run.job, run.upload, [1])
        assert await play.stages.idle(run.job)
        return Idle()

    upload = await play.admitted(2)
    job = play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER]
    await engine_of(play, work, stage=Stage.TRANSFER).run(job)
    assert (await upload_of(play, job)).stages[Stage.TRANSFER].state is StageState.IDLE


async def test_a_file_that_kills_its_worker_every_time_fails_at_last(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise AssertionError("it ran once more")

    job = await assemble_job(play)
    await reply(play.parts.client.hset(play.parts.keys.upload(job.upload_id), "stage.assemble.takeovers", "21"))
    await engine_of(play, work).run(job)
    failed = await upload_of(play, job)
    assert (failed.status, failed.error_code) == (Status.FAILED, "STAGE_CRASHED")
    assert failed.keeps_stored
