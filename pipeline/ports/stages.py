"""Stages under leases, and the queue that carries their jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.core.errors import SluiceError
from pipeline.core.model import (
    StageJob,
)
from pipeline.core.retry import Outage
from pipeline.core.stages import Stage


@dataclass(frozen=True, slots=True)
class StageStart:
    """`waited_seconds` in the queue; `takeovers`: how many workers have died over this stage of this upload."""

    waited_seconds: float
    takeovers: int


@dataclass(frozen=True, slots=True)
class OverdueStage:
    """A stage to enqueue. `dead_token`: the run that it was taken over from; None: it was queued all along."""

    job: StageJob
    dead_token: int | None
    due_in_seconds: float


class StageBoard(Protocol):
    """The state of each stage, under a lease with a fencing number. Errors: DependencyUnavailable, StageLost."""

    @property
    def lease_seconds(self) -> float:
        """A run that has not renewed for so long is taken over."""

    async def start(self, job: StageJob, worker: str) -> StageStart:
        """Take the stage's lease. Raises StageLost when `job` is not the latest run, or the upload has ended."""

    async def renew(self, job: StageJob) -> None:
        """Prolong the lease. Raises StageLost."""

    async def finish(
        self, job: StageJob, result: Mapping[str, Any] | None, *, skipped: bool = False
    ) -> Sequence[StageJob]:
        """The stage is done: keep its result, say which jobs are to be enqueued. Raises StageLost."""

    async def idle(self, job: StageJob) -> bool:
        """Transfer has nothing to do now: give up the lease. False: more has arrived meanwhile, go on. Raises
        StageLost."""

    async def record_outage(self, job: StageJob) -> Outage:
        """A dependency did not answer: counts it, and tells of the unbroken row of such failures. Success, progress (a
        segment stored or fetched) and a failure of another kind end the row. Raises StageLost."""

    async def retry(self, job: StageJob, error_code: str, after_seconds: float, *, outage: bool = False) -> StageJob:
        """Count a failed attempt, `away` if a dependency was at fault, and queue the next one. Raises StageLost."""

    async def requeue(self, job: StageJob) -> StageJob:
        """Queue the stage again without counting an attempt (a worker is told to stop). Raises StageLost."""

    async def fail(self, job: StageJob, error: SluiceError) -> None:
        """The stage cannot succeed: it fails, and the upload with it. Raises StageLost."""

    async def acknowledge_end(self, job: StageJob) -> None:
        """This run has stopped because the upload ended: nothing more will be written by it. Idempotent."""

    async def results(self, upload_id: str) -> Mapping[Stage, Mapping[str, Any]]:
        """What the finished stages left for later ones."""

    async def stale(self, jobs: Sequence[StageJob]) -> Sequence[StageJob]:
        """Those of `jobs` that can no longer run: the stage has a later run, or has ended."""

    async def overdue(self, limit: int) -> Sequence[OverdueStage]:
        """Take over stages whose lease has lapsed: each comes back as a new run to enqueue. Queued ones whose job may
        be lost come back as they are: enqueueing is idempotent by job id."""


class StageQueue(Protocol):
    """Carries jobs to workers. Errors: DependencyUnavailable."""

    async def enqueue(self, job: StageJob, after_seconds: float = 0.0) -> None:
        """Idempotent by job id; wakes a worker at once."""

    async def jobs(self, volume: str, limit: int) -> Sequence[StageJob]:
        """What stands in the queues that workers of this volume read, up to `limit` of each, oldest first."""

    async def discard(self, job: StageJob) -> None:
        """Take a dead run's job out of the queue, where it would stand in the way. Idempotent."""
