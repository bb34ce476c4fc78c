"""A process that has finished a stage continues with the next one, without a job in between."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, StageState, WorkerType
from pipeline.engine.contract import Done, Outcome, StageHandler, StageRun
from pipeline.engine.engine import EngineRules, StageEngine
from pipeline.ports import Continuation
from tests.contract.redis.engines import LongWork, Records, latest, probe_job, queued_jobs, upload_of
from tests.contract.redis.uploads import Play

pytestmark = pytest.mark.integration


async def _work(run: StageRun) -> Outcome:
    return Done({"of": str(run.job.stage)})


def _engine(play: Play, then: StageHandler, continues: frozenset[Stage]) -> StageEngine:
    handlers = {Stage.PROBE: _work, Stage.THUMBNAIL: then}
    return StageEngine(play.stages, play.parts.queue, handlers, Records(), EngineRules("worker", continues=continues))


BOTH = frozenset({Stage.PROBE, Stage.THUMBNAIL})


async def test_the_next_stage_runs_at_once_under_a_lease_of_its_own(play: Play) -> None:
    seen: list[StageRun] = []

    async def then(run: StageRun) -> Outcome:
        seen.append(run)
        await play.stages.renew(run.job)
        return Done({"of": "thumbnail"})

    job = await probe_job(play)
    await _engine(play, then, BOTH).run(job)
    (run,) = seen
    started = run.upload.stages[Stage.THUMBNAIL]
    assert (started.state, started.worker, started.attempt) == (StageState.RUNNING, "worker", 1)
    assert started.fencing_token == run.job.fencing_token
    assert run.upload.stages[Stage.PROBE].state is StageState.DONE
    upload = await upload_of(play, job)
    assert upload.stages[Stage.THUMBNAIL].state is StageState.DONE
    assert set(await play.stages.results(job.upload_id)) == BOTH
    assert not await queued_jobs(play, WorkerType.THUMBNAIL)


async def test_a_process_without_workers_of_that_type_queues_it(play: Play) -> None:
    job = await probe_job(play)
    await _engine(play, _work, frozenset({Stage.PROBE})).run(job)
    assert (await upload_of(play, job)).stages[Stage.THUMBNAIL].state is StageState.QUEUED
    assert await queued_jobs(play, WorkerType.THUMBNAIL) == {await latest(play, job, Stage.THUMBNAIL)}


async def test_a_process_that_stops_takes_no_further_stage(play: Play) -> None:
    job = await probe_job(play)
    engine = _engine(play, _work, BOTH)
    engine.stop.set()
    await engine.run(job)
    assert (await upload_of(play, job)).stages[Stage.THUMBNAIL].state is StageState.QUEUED
    assert await queued_jobs(play, WorkerType.THUMBNAIL) == {await latest(play, job, Stage.THUMBNAIL)}


async def test_a_cancelled_continuation_is_queued_again(play: Play) -> None:
    job, then = await probe_job(play), LongWork()
    running = asyncio.create_task(_engine(play, then, BOTH).run(job))
    await then.running.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    upload = await upload_of(play, job)
    assert (upload.stages[Stage.PROBE].state, upload.stages[Stage.THUMBNAIL].state) == (
        StageState.DONE,
        StageState.QUEUED,
    )
    assert await queued_jobs(play, WorkerType.THUMBNAIL) == {await latest(play, job, Stage.THUMBNAIL)}


async def test_a_continuation_whose_process_dies_is_taken_over(play: Play) -> None:
    job = await probe_job(play)
    await play.stages.start(job, "dies")
    brief = play.impatient(lease_ms=1)
    finished = await brief.finish(job, {}, continuation=Continuation("dies", BOTH))
    assert finished.following is not None
    started, _ = finished.following
    await asyncio.sleep(0.01)
    (overdue,) = [item for item in await play.stages.overdue(10) if item.job.stage is Stage.THUMBNAIL]
    assert overdue.dead_token == started.fencing_token
    assert overdue.job == StageJob(job.upload_id, Stage.THUMBNAIL, overdue.job.fencing_token, job.volume)
    assert overdue.job.fencing_token > started.fencing_token
