"""Heartbeats: a run renews its lease while it works, and is stopped when the lease is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pipeline.core.errors import DependencyUnavailable, StageLost
from pipeline.core.model import StageJob
from pipeline.engine.drain import DRAIN_SECONDS
from pipeline.logs import Log, logger
from pipeline.ports import StageRuns
from pipeline.tasks import end_tasks

HEARTBEATS_PER_LEASE = 4
# Work that is cancelled drains its requests to the store first (`engine.drain`).
WORK_AGAIN_SECONDS = 2 * DRAIN_SECONDS
_END_AGAIN_SECONDS = 0.5


@asynccontextmanager
async def heartbeats(runs: StageRuns, job: StageJob, work: asyncio.Future[Any]) -> AsyncIterator[None]:
    """Renew the lease of `job` until the block ends. A lost lease cancels `work` and raises StageLost."""
    lost: list[StageLost] = []
    log = logger(upload_id=job.upload_id, stage=str(job.stage))

    async def beat() -> None:
        while True:
            await asyncio.sleep(runs.lease_seconds / HEARTBEATS_PER_LEASE)
            try:
                await runs.renew(job)
            except StageLost as error:
                lost.append(error)
                await end_tasks(work, again_seconds=WORK_AGAIN_SECONDS)
                return
            except DependencyUnavailable:
                continue  # while Redis is unavailable no other worker can take the stage over either
            except Exception:  # a heartbeat that ends would have the stage taken over while it runs
                log.exception(Log.STAGE_LOST, when="renew")

    beats = asyncio.create_task(beat())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            raise lost[0] from None
        raise
    finally:
        # A heartbeat that goes on would keep the stage from every worker.
        await end_tasks(beats, again_seconds=_END_AGAIN_SECONDS)
