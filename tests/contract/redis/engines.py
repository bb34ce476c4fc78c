"""A stage engine on the real boards and queue, a job for it, and reads of what both hold afterwards."""

from __future__ import annotations

import asyncio

from pipeline.core.model import StageJob, Upload
from pipeline.core.stages import Stage, WorkerType
from pipeline.engine.contract import Done, Outcome, StageHandler, StageRun
from pipeline.engine.engine import EngineRules, StageEngine
from pipeline.ports import StageRuns
from tests.contract.redis.uploads import Play

RULES = EngineRules("worker")


class Records:
    """What an engine asks before it fails an upload."""

    def __init__(self, *, current: bool = True) -> None:
        self.current = current

    async def up_to_date(self) -> bool:
        return self.current


class LongWork:
    """Work of a stage that sets `running` when it begins and finishes when `end` is set."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, run: StageRun) -> Outcome:
        self.running.set()
        await self.end.wait()
        return Done({"answer": 42})


def engine_of(
    play: Play,
    work: StageHandler,
    stages: StageRuns | None = None,
    stage: Stage = Stage.ASSEMBLE,
    records: Records | None = None,
) -> StageEngine:
    return StageEngine(stages or play.stages, play.parts.queue, {stage: work}, records or Records(), RULES)


async def assemble_job(play: Play) -> StageJob:
    return (await play.receive_all(await play.admitted(1)))[Stage.ASSEMBLE]


async def probe_job(play: Play) -> StageJob:
    return (await play.receive_all(await play.admitted(1)))[Stage.PROBE]


async def upload_of(play: Play, job: StageJob) -> Upload:
    return await play.board.get(job.upload_id)


async def latest(play: Play, job: StageJob, stage: Stage) -> str:
    """The id of the job of a stage's latest run."""
    return StageJob(job.upload_id, stage, (await upload_of(play, job)).stages[stage].fencing_token, job.volume).job_id


async def queued_jobs(play: Play, worker: WorkerType) -> set[str]:
    return set(await play.parts.client.zrange(play.parts.keys.queue(worker, "local"), 0, -1))
