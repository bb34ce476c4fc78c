"""`ports.StageWatch` on a real Redis: lapsed runs are taken over once, and queued jobs that may be lost come back."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.lifecycle import Event
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, StageState
from pipeline.ports import OverdueStage
from tests.contract.redis.uploads import VOLUME, Play, transfer_job, until

pytestmark = pytest.mark.contract


async def test_a_run_whose_lease_lapsed_is_taken_over(play: Play) -> None:
    board = play.impatient(lease_ms=60_000)
    job = await transfer_job(play)
    await board.start(job, "about to die")
    assert await play.parts.ended.idle(job.upload_id) is None
    assert list(await board.overdue(10)) == []
    client, prefix = play.parts.client, play.parts.keys.prefix
    lapsed = {f"{job.upload_id}|{job.stage}|{job.fencing_token}": 1}
    assert await client.zadd(f"{prefix}stage-leases", lapsed, xx=True, ch=True) == 1
    await client.delete(
        f"{prefix}watched_at_ms"
    )  # after a pause, which a busy machine makes, each lease gets more time
    assert await play.parts.ended.idle(job.upload_id)
    first, second = await asyncio.gather(board.overdue(10), board.overdue(10))
    found = [*first, *second]
    assert len(found) == 1, "two processes take it over once"
    assert (found[0].dead_token, found[0].due_in_seconds) == (job.fencing_token, 0)
    next_run = found[0].job
    assert next_run == StageJob(job.upload_id, job.stage, next_run.fencing_token, VOLUME)
    assert next_run.fencing_token > job.fencing_token
    with pytest.raises(StageLost):
        await board.renew(job)
    assert (await play.stages.start(found[0].job, "next worker")).takeovers == 1
    assert (await play.board.get(job.upload_id)).stages[Stage.TRANSFER].attempt == 1, (
        "a lost worker is not a failed attempt"
    )


async def test_a_run_that_renews_is_not_taken_over(play: Play) -> None:
    patient = play.impatient(lease_ms=60_000)
    job = await transfer_job(play)
    await play.impatient(lease_ms=1).start(job, "alive")
    await patient.renew(job)
    assert list(await patient.overdue(10)) == []
    assert await play.parts.ended.idle(job.upload_id) is None


async def test_a_queued_stage_that_does_not_start_comes_back_unchanged(play: Play) -> None:
    brief = play.impatient(requeue_ms=20)
    job = await play.started(await transfer_job(play))
    queued = await brief.requeue(job)
    later = (await play.receive(await play.admitted(2), 1)).jobs[0]
    again = await brief.retry(await play.started(later), "STORE_UNAVAILABLE", after_seconds=60)
    found: list[OverdueStage] = []

    async def came_back() -> bool:
        found[:] = await brief.overdue(10)
        return bool(found)

    for _ in range(2):  # as often as it is overdue
        await until(came_back)
        assert [(item.job, item.dead_token) for item in found] == [(queued, None)], "the delayed retry is not due yet"
        assert found[0].due_in_seconds == 0
    await play.started(queued)
    assert again.fencing_token > later.fencing_token


async def test_a_delayed_retry_comes_back_with_its_due_time(play: Play) -> None:
    job = await play.started(await transfer_job(play))
    again = await play.impatient(requeue_ms=-59_900).retry(job, "STORE_UNAVAILABLE", after_seconds=60)
    found: list[OverdueStage] = []

    async def came_back() -> bool:
        found[:] = await play.stages.overdue(10)
        return bool(found)

    await until(came_back)
    assert found[0].job == again
    assert 55 < found[0].due_in_seconds <= 60


async def test_a_run_that_died_after_its_upload_ended_is_not_taken_over(play: Play) -> None:
    brief = play.impatient(lease_ms=1)
    job = await transfer_job(play)
    await brief.start(job, "dies")
    await play.board.apply(job.upload_id, Event.CANCEL)

    async def stopped() -> bool:
        assert list(await brief.overdue(10)) == []
        return (await play.board.get(job.upload_id)).stages[Stage.TRANSFER].state is StageState.STOPPED

    await until(stopped)
    assert await play.parts.ended.idle(job.upload_id)


async def test_overdue_stages_come_in_batches(play: Play) -> None:
    brief = play.impatient(lease_ms=1, requeue_ms=60_000)
    jobs = [await transfer_job(play) for _ in range(7)]
    for job in jobs:
        await brief.start(job, "dies")
    taken: list[str] = []

    async def all_taken() -> bool:
        portion = await brief.overdue(3)
        assert len(portion) <= 3
        taken.extend(item.job.upload_id for item in portion)
        return len(taken) == len(jobs)

    await until(all_taken)
    assert set(taken) == {job.upload_id for job in jobs}
