"""Take-over: stages whose run stopped without saying so are queued again.

Guarantee: only Redis is asked, so that a slow disk or store does not delay the take-over. It may run in many processes
at once and be killed at any point; the next run continues. A stage that cannot be queued does not keep the others from
being queued.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.logs import Log, logger
from pipeline.ports import StageQueue, StageWatch
from pipeline.sweeps import Sweep
from pipeline.telemetry import TAKEOVERS

_BATCH = 200


class TakeOver:
    """Takes over stages from workers that no longer renew their leases."""

    def __init__(self, watch: StageWatch, queue: StageQueue) -> None:
        self._watch = watch
        self._queue = queue

    async def run(self) -> None:
        """Queue the stages again whose lease has lapsed or whose job may be lost. Raises DependencyUnavailable."""
        sweep = Sweep(step="take_over")
        for item in await self._watch.overdue(_BATCH):
            job = item.job
            with sweep.item(upload_id=job.upload_id, stage=str(job.stage)):
                if item.dead_token is not None:
                    await self._queue.discard(replace(job, fencing_token=item.dead_token))
                    TAKEOVERS.labels(job.stage).inc()
                    logger(upload_id=job.upload_id, stage=str(job.stage)).warning(Log.STAGE_TAKEN_OVER)
                await self._queue.enqueue(job, item.due_in_seconds)
        sweep.end()
