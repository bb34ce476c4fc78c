"""What operators see, on Redis 6 and 7: the overview, the search, and the retry of a stage."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pipeline.bootstrap import RedisParts
from pipeline.core.admission import DiskReading
from pipeline.core.errors import RequestError, StageLost, StoreUnavailable, UploadEnded
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, StageState
from pipeline.uploads.stage_retries import StageRetrying
from schemas.overview import Overview
from tests.contract.redis.uploads import VOLUME, Play, transfer_job
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

FULL = DiskReading(free_bytes=0, headroom_bytes=0, epoch=0)


class NoJournals:
    """Redis has lost nothing."""

    async def read(self, upload_id: str) -> None:
        return None


@pytest.fixture
def redis_url(each_redis: RedisServer) -> str:
    """On each version in turn."""
    return each_redis.url


@pytest.fixture
def retrying(parts: RedisParts) -> StageRetrying:
    return StageRetrying(parts.stages, parts.queue, NoJournals())  # type: ignore[arg-type]  # a reader is enough


def stage_of(overview: Overview, stage: Stage) -> tuple[int, int, int, int]:
    (found,) = (item for item in overview.stages if item.stage == stage)
    return found.done, found.retried, found.failed, found.taken_over


async def paused(play: Play) -> StageJob:
    """A transfer that has failed and pauses for minutes."""
    job = await play.started(await transfer_job(play))
    again = await play.stages.retry(job, "STORE_UNAVAILABLE", 300, outage=True)
    await play.parts.queue.enqueue(again, 300)
    return again


async def test_an_empty_cell(parts: RedisParts) -> None:
    overview = await parts.overview.read()
    assert (overview.volumes, overview.workers, overview.queues, overview.rate_seconds) == ([], [], [], None)
    assert {item.status: item.count for item in overview.statuses} == dict.fromkeys(map(str, Status), 0)
    assert (overview.failures.examined, overview.failures.complete, overview.failures.codes) == (0, True, [])


async def test_the_queue_is_in_the_order_of_service(parts: RedisParts, play: Play) -> None:
    await parts.ledger.open("run")
    made = []
    for number, owner in enumerate(("ann", "ann", "ann", "bob")):
        upload, _ = await play.board.create(new_upload(owner=owner, filename=f"{number}.mp4"))
        await parts.ledger.request(upload.upload_id, 10 * 4096, FULL, owner=owner)
        made.append(upload)
    (volume,) = (await parts.overview.read()).volumes
    assert (volume.name, volume.waiting, volume.holding) == (VOLUME, 4, 0)
    assert [(item.owner, item.filename) for item in volume.queue] == [
        ("ann", "0.mp4"),
        ("bob", "3.mp4"),
        ("ann", "1.mp4"),
        ("ann", "2.mp4"),
    ]
    positions = [(await play.board.snapshot(item.id)).standing for item in volume.queue]
    assert [standing and standing.queue_position for standing in positions] == [1, 2, 3, 4]


async def test_history_is_sent_once(parts: RedisParts, play: Play) -> None:
    await parts.ledger.open("run")
    await parts.ledger.request((await play.admitted()).upload_id, 25, FULL)
    await parts.samples.keep(VOLUME)
    overview = await parts.overview.read()
    (sample,) = overview.volumes[0].history
    assert (await parts.overview.read(sample.at)).volumes[0].history == []
    assert (await parts.overview.read(sample.at - timedelta(milliseconds=1))).volumes[0].history == [sample]


async def test_failures_by_code(parts: RedisParts, play: Play) -> None:
    for code, count in (("NOT_MEDIA", 2), ("UPLOAD_EXPIRED", 1)):
        for _ in range(count):
            upload = await play.admitted()
            event = Event.EXPIRE if code == "UPLOAD_EXPIRED" else Event.FAIL
            await play.board.apply(upload.upload_id, event, (code, "why"))
    failures = (await parts.overview.read()).failures
    assert [(item.code, item.count) for item in failures.codes] == [("NOT_MEDIA", 2), ("UPLOAD_EXPIRED", 1)]
    assert failures.codes[1].latest_id == upload.upload_id
    assert (failures.examined, failures.complete) == (3, True)


async def test_workers_that_are_alive(parts: RedisParts) -> None:
    record = {"types": "probe,thumbnail", "volume": VOLUME, "metrics_url": "http://a", "confinement": "complete"}
    await parts.workers.write("b:2", record)
    await parts.workers.write("a:1", record)
    found = (await parts.overview.read()).workers
    assert [(item.name, item.types, item.confinement) for item in found] == [
        ("a:1", ["probe", "thumbnail"], "complete"),
        ("b:2", ["probe", "thumbnail"], "complete"),
    ]
    await parts.workers.remove("a:1")
    assert [item.name for item in (await parts.overview.read()).workers] == ["b:2"]


async def test_queues_and_stages(parts: RedisParts, play: Play) -> None:
    await parts.ledger.open("run")
    await parts.ledger.request((await play.admitted()).upload_id, 25, FULL)
    job = await paused(play)
    overview = await parts.overview.read()
    depth = {item.worker: (item.depth, item.oldest_due_since) for item in overview.queues}
    assert depth["transfer"] == (1, None), "it pauses"
    assert depth["persist"] == (0, None)
    assert stage_of(overview, Stage.TRANSFER) == (0, 1, 0, 0)
    retried = await parts.stages.retry_now(job.upload_id, Stage.TRANSFER)
    assert retried.job
    await play.started(retried.job)
    await play.stages.fail(retried.job, StoreUnavailable("STORE_UNAVAILABLE", reason="x"))
    assert stage_of(await parts.overview.read(), Stage.TRANSFER) == (0, 1, 1, 0)


async def test_a_stage_that_pauses_is_retried_once(parts: RedisParts, play: Play, retrying: StageRetrying) -> None:
    job = await paused(play)
    outcomes = await asyncio.gather(*(retrying.retry(job.upload_id, Stage.TRANSFER) for _ in range(4)))
    assert sorted(outcome.retried for outcome in outcomes) == [False, False, False, True]
    jobs = {outcome.job for outcome in outcomes}
    assert len(jobs) == 1, "of one run"
    (run,) = jobs
    assert run
    assert list(await parts.queue.jobs(VOLUME, 10)) == [run], "the job that was due later is gone"
    with pytest.raises(StageLost):
        await play.stages.start(job, "worker")
    await play.started(run)
    status = (await play.board.get(job.upload_id)).stages[Stage.TRANSFER]
    assert (status.attempt, status.failures, status.outages) == (2, 1, 1)
    running = await retrying.retry(job.upload_id, Stage.TRANSFER)
    assert (running.state, running.retried, running.job) == (StageState.RUNNING, False, None)


async def test_an_upload_that_has_ended_is_not_retried(play: Play, retrying: StageRetrying) -> None:
    job = await paused(play)
    results = await asyncio.gather(
        play.board.apply(job.upload_id, Event.CANCEL),
        retrying.retry(job.upload_id, Stage.TRANSFER),
        return_exceptions=True,
    )
    assert not isinstance(results[0], BaseException)
    with pytest.raises(UploadEnded, match="cancelled"):
        await retrying.retry(job.upload_id, Stage.TRANSFER)
    upload = await play.board.get(job.upload_id)
    assert (upload.status, upload.stages[Stage.TRANSFER].state) == (Status.CANCELLED, StageState.STOPPED)
    with pytest.raises(RequestError, match="no upload"):
        await retrying.retry("none", Stage.TRANSFER)


async def test_search(play: Play) -> None:
    names = ["Summer Holiday.mp4", "HOLIDAY.mov", "other.mp4", "100%_holiday.mp4", "Übung.mp4"]
    made = [(await play.board.create(new_upload(filename=name)))[0] for name in names]
    await play.board.apply(made[1].upload_id, Event.CANCEL)

    async def found(text: str, status: Status | None = None) -> list[str]:
        return [item.upload.filename for item in (await play.board.search(text, status, None, 10, 100)).uploads]

    assert sorted(await found("hOLIday")) == ["100%_holiday.mp4", "HOLIDAY.mov", "Summer Holiday.mp4"]
    assert await found("holiday", Status.CANCELLED) == ["HOLIDAY.mov"]
    assert await found("%_") == ["100%_holiday.mp4"], "no pattern"
    assert await found("ÜBUNG") == ["Übung.mp4"]
    assert await found(made[2].upload_id[:30].upper()) == [] or made[2].filename in await found(made[2].upload_id[:30])
    assert await found(made[2].upload_id) == ["other.mp4"]
    assert len(await found("")) == len(names)


async def test_a_search_examines_a_limited_number_and_continues(play: Play) -> None:
    made = [(await play.board.create(new_upload(filename=f"{number}.mp4")))[0] for number in range(30)]
    found, before, examined = [], None, 0
    while True:
        part = await play.board.search(".mp4", None, before, 4, 7)
        assert part.examined <= 7
        assert len(part.uploads) <= 4
        found += [item.upload.upload_id for item in part.uploads]
        examined += part.examined
        if part.rest is None:
            break
        before = part.rest
    assert sorted(found) == sorted(upload.upload_id for upload in made)
    assert examined == len(made)
    nothing = await play.board.search("nothing", None, None, 4, 7)
    assert (list(nothing.uploads), nothing.examined) == ([], 7)
    assert nothing.rest
