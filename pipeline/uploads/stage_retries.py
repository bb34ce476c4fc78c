"""Retrying a stage at an operator's request: the pause after a failed attempt ends now.

What can be retried is a stage of an upload in flight. While a dependency is unavailable, stages fail and pause, for up
to five minutes, and their uploads stay in flight as long as the outage budget allows: an operator who has repaired the
dependency need not wait. An upload that has `failed` cannot be retried. Its status is final, its client has been
notified, and cleanup removes its bytes at once; what an unexpected error has left in the store is for an operator to
examine (docs/operations.md).

Guarantee: one script decides, so a retry neither revives an upload that ends at the same moment nor runs a stage twice:
the new run has the next fencing token. Repeating a request is harmless. If the process dies before the job is queued,
an admission worker queues it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from pipeline.core.errors import DependencyUnavailable
from pipeline.core.stages import Stage
from pipeline.logs import Log, logger
from pipeline.ports import JournalReader, RetriedStage, StageQueue, StageRetries
from pipeline.uploads.lookup import naming_a_loss


class StageRetrying:
    """Retries stages."""

    def __init__(self, stages: StageRetries, queue: StageQueue, journals: JournalReader) -> None:
        self._stages = stages
        self._queue = queue
        self._journals = journals

    async def retry(self, upload_id: str, stage: Stage) -> RetriedStage:
        """Run `stage` now if it pauses after a failed attempt; else change nothing.

        Raises RequestError UPLOAD_NOT_FOUND; UploadEnded UPLOAD_ENDED; DependencyUnavailable, also UPLOAD_RECOVERING.
        """
        async with naming_a_loss(self._journals, upload_id):
            outcome = await self._stages.retry_now(upload_id, stage)
        if outcome.retried:
            logger(upload_id=upload_id, stage=str(stage)).info(Log.STAGE_RETRIED_NOW)
        if outcome.job:
            with suppress(DependencyUnavailable):  # the stage is queued: its job comes back as overdue
                await self._queue.enqueue(outcome.job)
                if outcome.dead_token is not None:
                    await self._queue.discard(replace(outcome.job, fencing_token=outcome.dead_token))
        return outcome
