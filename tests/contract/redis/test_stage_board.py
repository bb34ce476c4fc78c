"""`ports.StageRuns` and `StageIdle` on a real Redis: leases, fencing tokens, and the order of stages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipeline.adapters.redis.reads import hash_all
from pipeline.core.errors import MediaError, StageLost
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob
from pipeline.core.retry import Dependency, Outage
from pipeline.core.stages import GRAPH, Stage, StageState
from pipeline.core.stored_objects import StoredSegment
from tests.contract.redis.uploads import VOLUME, Play, transfer_job, until

pytestmark = pytest.mark.contract

Act = Callable[[Play, StageJob], Awaitable[object]]
NOT_MEDIA = MediaError("NOT_MEDIA", reason="it is a letter")

WRITES: dict[str, Act] = {
    "renew": lambda play, job: play.stages.renew(job),
    "finish": lambda play, job: play.stages.finish(job, {"by": "a dead run"}),
    "skip": lambda play, job: play.stages.finish(job, None, skipped=True),
    "idle": lambda play, job: play.stages.idle(job),
    "retry": lambda play, job: play.stages.retry(job, "STORE_UNAVAILABLE", 0),
    "outage": lambda play, job: play.stages.record_outage(job, Dependency.STORE),
    "requeue": lambda play, job: play.stages.requeue(job),
    "fail": lambda play, job: play.stages.fail(job, NOT_MEDIA),
    "requeue segments": lambda play, job: play.segments.requeue_segments(job, [1]),
    "session lost": lambda play, job: play.segments.session_lost(job, "session"),
    "pending": lambda play, job: play.segments.pending(job, 10),
    "stored": lambda play, job: play.segments.record_stored(job, StoredSegment(1, 10, "e")),
}
"""Every call that a run may make."""
WRITES_AND_START: dict[str, Act] = WRITES | {"start": lambda play, job: play.stages.start(job, "late")}


async def snapshot(play: Play, upload_id: str) -> dict[str, str]:
    """An upload's record with its segments and results."""
    client, key = play.parts.client, play.parts.keys.upload(upload_id)
    found: dict[str, str] = {}
    for part in ("", ":received", ":stored", ":results"):
        found |= {f"{part}{name}": value for name, value in (await hash_all(client, key + part)).items()}
    return found


# -- one run


async def test_a_run_from_start_to_end(play: Play) -> None:
    upload = await play.admitted(1)
    jobs = await play.receive_all(upload)
    queued = (await play.board.get(upload.upload_id)).stages[Stage.PROBE]
    assert (queued.state, queued.attempt, queued.started_at_ms) == (StageState.QUEUED, 0, None)

    start = await play.stages.start(jobs[Stage.PROBE], "host:1")
    assert 0 <= start.waited_seconds < 5
    assert start.takeovers == 0
    running = (await play.board.get(upload.upload_id)).stages[Stage.PROBE]
    assert (running.state, running.attempt, running.worker) == (StageState.RUNNING, 1, "host:1")
    assert running.started_at_ms is not None

    await play.stages.renew(jobs[Stage.PROBE])
    result = {"text": "ü", "number": 2**53, "list": [1, None, {"a": 0.5}], "empty": []}
    assert set(play.by_stage((await play.stages.finish(jobs[Stage.PROBE], result)).jobs)) == {Stage.THUMBNAIL}
    done = (await play.board.get(upload.upload_id)).stages[Stage.PROBE]
    assert done.state is StageState.DONE
    assert done.finished_at_ms is not None
    assert await play.stages.results(upload.upload_id) == {Stage.PROBE: result}


async def test_one_of_many_workers_starts_a_job(play: Play) -> None:
    for _ in range(20):
        job = await transfer_job(play)
        answers = await asyncio.gather(
            *(play.stages.start(job, f"worker-{number}") for number in range(8)), return_exceptions=True
        )
        assert sum(not isinstance(answer, Exception) for answer in answers) == 1
        assert all(isinstance(answer, StageLost) for answer in answers if isinstance(answer, Exception))


@pytest.mark.parametrize("write", WRITES)
async def test_a_run_that_has_not_started_cannot_write(play: Play, write: str) -> None:
    job = await transfer_job(play)
    before = await snapshot(play, job.upload_id)
    with pytest.raises(StageLost):
        await WRITES[write](play, job)
    assert await snapshot(play, job.upload_id) == before


@pytest.mark.parametrize("write", WRITES_AND_START)
async def test_an_earlier_run_cannot_write(play: Play, write: str) -> None:
    """It was taken over, and the next run is running when it continues."""
    job = await play.started(await transfer_job(play))
    await play.started(await play.stages.requeue(job))
    before = await snapshot(play, job.upload_id)
    with pytest.raises(StageLost):
        await WRITES_AND_START[write](play, job)
    await play.stages.acknowledge_end(job)
    assert await snapshot(play, job.upload_id) == before


@pytest.mark.parametrize("write", WRITES_AND_START)
async def test_a_run_of_an_ended_upload_cannot_write(play: Play, write: str) -> None:
    job = await play.started(await transfer_job(play))
    await play.board.apply(job.upload_id, Event.CANCEL)
    before = await snapshot(play, job.upload_id)
    with pytest.raises(StageLost):
        await WRITES_AND_START[write](play, job)
    assert await snapshot(play, job.upload_id) == before
    assert before["stage.transfer.state"] == "running", "the run has not noticed yet"


@pytest.mark.parametrize("write", WRITES_AND_START)
async def test_a_run_of_an_unknown_upload_leaves_no_trace(play: Play, write: str) -> None:
    job = await play.started(await transfer_job(play))
    client, key = play.parts.client, play.parts.keys.upload(job.upload_id)
    await client.delete(key, f"{key}:received", f"{key}:pending")
    with pytest.raises(StageLost):
        await WRITES_AND_START[write](play, job)
    await play.stages.acknowledge_end(job)
    assert not [name for name in await play.keys() if job.upload_id in name]


async def _away_since(play: Play, job: StageJob) -> str | None:
    fields = await hash_all(play.parts.client, play.parts.keys.upload(job.upload_id))
    since: str | None = fields.get(f"stage.{job.stage}.away_since_ms")
    return since


async def test_an_outage_begins_with_its_first_failure(play: Play) -> None:
    job = await play.started(await transfer_job(play))
    assert await play.stages.record_outage(job, Dependency.STORE) == Outage(0, 1)
    since = await _away_since(play, job)

    async def some_time_has_passed() -> bool:
        return (await play.stages.record_outage(job, Dependency.STORE)).seconds >= 0.02

    await until(some_time_has_passed)
    job = await play.started(await play.stages.retry(job, "STORE_UNAVAILABLE", 0, outage=True))
    away = await play.stages.record_outage(job, Dependency.STORE)
    assert away.seconds >= 0.02
    assert away.failures >= 3
    assert await _away_since(play, job) == since
    status = (await play.board.get(job.upload_id)).stages[Stage.TRANSFER]
    assert (status.attempt, status.outages, status.own_attempt) == (2, 1, 1)


async def _stores_one(play: Play, job: StageJob) -> None:
    await play.segments.record_stored(job, StoredSegment(1, 10, "e"))


async def _fails_otherwise(play: Play, job: StageJob) -> None:
    await play.stages.retry(job, "MANIFEST_REFUSED", 0)


async def test_an_outage_of_another_dependency_begins_anew(play: Play) -> None:
    """Otherwise a disk error after hours without a store would have used up the disk's ten minutes."""
    job = await play.started(await transfer_job(play))
    for failures in (1, 2):
        assert (await play.stages.record_outage(job, Dependency.STORE)).failures == failures
    assert await play.stages.record_outage(job, Dependency.DISK) == Outage(0, 1)
    assert (await play.stages.record_outage(job, Dependency.DISK)).failures == 2


@pytest.mark.parametrize("answered", [_stores_one, _fails_otherwise])
async def test_progress_or_another_failure_ends_an_outage(play: Play, answered: Act) -> None:
    job = await play.started(await transfer_job(play))
    job = await play.started(await play.stages.retry(job, "STORE_UNAVAILABLE", 0, outage=True))
    await play.stages.record_outage(job, Dependency.STORE)
    assert await _away_since(play, job) is not None
    await answered(play, job)
    assert await _away_since(play, job) is None
    fields = await hash_all(play.parts.client, play.parts.keys.upload(job.upload_id))
    assert not {f"stage.{job.stage}.away_{name}" for name in ("failures", "dependency")} & set(fields)


async def test_a_failed_attempt_is_counted_and_queued_again(play: Play) -> None:
    job = await play.started(await transfer_job(play))
    again = await play.stages.retry(job, "STORE_UNAVAILABLE", 0)
    assert again == StageJob(job.upload_id, job.stage, again.fencing_token, VOLUME)
    assert again.fencing_token > job.fencing_token
    waiting = (await play.board.get(job.upload_id)).stages[Stage.TRANSFER]
    assert (waiting.state, waiting.error_code) == (StageState.QUEUED, "STORE_UNAVAILABLE")
    await play.started(again)
    assert (await play.board.get(job.upload_id)).stages[Stage.TRANSFER].attempt == 2
    back = await play.stages.requeue(again)
    await play.started(back)
    assert (await play.board.get(job.upload_id)).stages[Stage.TRANSFER].attempt == 2, (
        "requeueing is not a failed attempt"
    )


async def test_a_failed_stage_fails_the_upload(play: Play) -> None:
    upload, seal, thumbnail = await play.before_persist()
    await play.stages.fail(thumbnail, NOT_MEDIA)
    failed = await play.board.get(upload.upload_id)
    assert (failed.status, failed.error_code, failed.error_message) == (Status.FAILED, "NOT_MEDIA", str(NOT_MEDIA))
    assert failed.stages[Stage.THUMBNAIL].state is StageState.FAILED
    assert failed.stages[Stage.THUMBNAIL].error_code == "NOT_MEDIA"
    assert failed.stages[Stage.PERSIST].state is StageState.STOPPED
    assert failed.stages[Stage.SEAL].state is StageState.RUNNING, "until it notices"
    assert await play.parts.ended.idle(upload.upload_id) is None
    with pytest.raises(StageLost):
        await play.stages.renew(seal)
    await play.stages.acknowledge_end(seal)
    assert (await play.board.get(upload.upload_id)).stages[Stage.SEAL].state is StageState.STOPPED
    assert await play.parts.ended.idle(upload.upload_id)


async def test_acknowledging_an_end_does_nothing_while_the_upload_lives(play: Play) -> None:
    """Redis was unavailable when a worker requeued, and responds when it acknowledges: the stage must not be stuck."""
    job = await play.started(await transfer_job(play))
    await play.stages.acknowledge_end(job)
    assert (await play.board.get(job.upload_id)).stages[Stage.TRANSFER].state is StageState.RUNNING
    await play.stages.renew(job)


# -- the order of stages


async def test_stages_start_in_the_order_of_the_graph(play: Play) -> None:
    """The last predecessor that finishes queues a stage."""
    upload = await play.admitted(2)
    jobs = await play.receive_all(upload)
    done: set[Stage] = set()
    while jobs:
        stage, job = jobs.popitem()
        await play.started(job)
        if stage is Stage.TRANSFER:
            await play.store(job, upload, [1, 2])
        following = play.by_stage((await play.stages.finish(job, {"of": str(stage)})).jobs)
        done.add(stage)
        assert set(following) == {
            later for later, spec in GRAPH.items() if stage in spec.after and set(spec.after) <= done
        }
        jobs |= following
    assert done == set(Stage)
    ready = await play.board.get(upload.upload_id)
    assert (ready.status, ready.content_id) == (Status.READY, upload.upload_id)
    assert list(await play.parts.ended.due(VOLUME, 10)) == [upload.upload_id]


async def test_two_stages_that_finish_at_once_queue_the_next_one_once(play: Play) -> None:
    async def one() -> None:
        upload, seal, thumbnail = await play.before_persist(1)
        answers = await asyncio.gather(play.stages.finish(seal, {}), play.stages.finish(thumbnail, None, skipped=True))
        assert [job.stage for finished in answers for job in finished.jobs] == [Stage.PERSIST]
        assert (await play.board.get(upload.upload_id)).stages[Stage.THUMBNAIL].state is StageState.SKIPPED

    for _ in range(5):
        await asyncio.gather(*(one() for _ in range(20)))


async def test_a_transfer_that_has_more_to_do_does_not_become_idle(play: Play) -> None:
    upload = await play.admitted(2)
    transfer = await play.started(play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER])
    assert not await play.stages.idle(transfer), "a segment is pending"
    await play.store(transfer, upload, [1])
    await play.receive(upload, 2)
    await play.store(transfer, upload, [2])
    assert not await play.stages.idle(transfer), "everything is stored: the stage has to finish"
    assert (await play.board.get(upload.upload_id)).stages[Stage.TRANSFER].state is StageState.RUNNING


async def test_an_idle_transfer_is_queued_by_the_next_arrival_only(play: Play) -> None:
    upload = await play.admitted(3)
    transfer = await play.started(play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER])
    await play.store(transfer, upload, [1])
    assert await play.stages.idle(transfer)
    with pytest.raises(StageLost):
        await play.stages.renew(transfer)
    assert await play.parts.ended.idle(upload.upload_id)
    again = (await play.receive(upload, 2)).jobs
    assert [(job.stage, job.fencing_token > transfer.fencing_token) for job in again] == [(Stage.TRANSFER, True)]
