"""The stage engine meets exceptions outside of a stage's own work: no run ends without a record of it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, StageState
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.engine.engine import StageEngine
from pipeline.ports import StageQueue, StageRuns
from tests.contract.redis.engines import RULES, LongWork, Records, assemble_job, upload_of
from tests.contract.redis.uploads import Play, until
from tests.harness.redis_calls import reply

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("plain_logs")]


class Failing:
    """A real collaborator, of which one method fails the first `times` times with a KeyError."""

    def __init__(self, real: object, method: str, times: int) -> None:
        self._real, self._method, self.left = real, method, times

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self.left:
            return self._fail
        return getattr(self._real, name)

    async def _fail(self, *arguments: object, **options: object) -> None:
        self.left -= 1
        raise KeyError("a field of another release")


async def _work(run: StageRun) -> Outcome:
    return Done()


async def test_a_record_that_cannot_be_read_is_tried_again_later(play: Play) -> None:
    job = await assemble_job(play)
    key, client = play.parts.keys.upload(job.upload_id), play.parts.client
    metadata = await reply(client.hget(key, "metadata"))
    await reply(client.hset(key, "metadata", "that of another release"))
    await StageEngine(play.stages, play.parts.queue, {Stage.ASSEMBLE: _work}, Records(), RULES).run(job)
    await reply(client.hset(key, "metadata", metadata))
    status = (await upload_of(play, job)).stages[Stage.ASSEMBLE]
    assert (status.state, status.error_code, status.outages) == (StageState.QUEUED, "STAGE_CRASHED", 1)
    again = StageJob(job.upload_id, job.stage, status.fencing_token, job.volume)
    await StageEngine(play.stages, play.parts.queue, {Stage.ASSEMBLE: _work}, Records(), RULES).run(again)
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE


async def test_a_queue_that_fails_does_not_undo_finished_work(play: Play) -> None:
    job = await assemble_job(play)
    queue = cast(StageQueue, Failing(play.parts.queue, "enqueue", 9))
    await StageEngine(play.stages, queue, {Stage.ASSEMBLE: _work}, Records(), RULES).run(job)
    upload = await upload_of(play, job)
    assert upload.stages[Stage.ASSEMBLE].state is StageState.DONE
    assert upload.stages[Stage.PROBE].state is StageState.QUEUED, "take-over enqueues its job"


async def test_heartbeats_continue_after_an_unexpected_error(play: Play) -> None:
    job = await assemble_job(play)
    work = LongWork()
    runs = Failing(play.impatient(lease_ms=400), "renew", 3)
    engine = StageEngine(cast(StageRuns, runs), play.parts.queue, {Stage.ASSEMBLE: work}, Records(), RULES)
    task = asyncio.create_task(engine.run(job))
    await work.running.wait()
    await until(lambda: runs.left == 0)
    leases, member = f"{play.parts.keys.prefix}stage-leases", f"{job.upload_id}|assemble|{job.fencing_token}"
    first = await play.parts.client.zscore(leases, member)
    assert first is not None

    async def renewed() -> bool:
        until_ms = await play.parts.client.zscore(leases, member)
        return until_ms is not None and float(until_ms) > float(first)

    await until(renewed)
    work.end.set()
    await task
    assert (await upload_of(play, job)).stages[Stage.ASSEMBLE].state is StageState.DONE
