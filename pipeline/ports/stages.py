"""Stages under leases, and the queue that carries their jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.core.errors import SluiceError
from pipeline.core.model import StageJob, Upload
from pipeline.core.retry import Dependency, Outage
from pipeline.core.stages import Stage, StageState


@dataclass(frozen=True, slots=True)
class StageStart:
    """`waited_seconds` in the queue; `takeovers`: how many runs of this stage of this upload lost their worker;
    `upload`: its record as the run begins."""

    waited_seconds: float
    takeovers: int
    upload: Upload


@dataclass(frozen=True, slots=True)
class Finished:
    """`jobs` to enqueue. `following`: the run of a further stage of the upload, which has started already."""

    jobs: Sequence[StageJob]
    following: tuple[StageJob, StageStart] | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """A process (`worker`) that has finished a stage runs one of `stages` next, if it may start."""

    worker: str
    stages: frozenset[Stage]


@dataclass(frozen=True, slots=True)
class OverdueStage:
    """A stage to enqueue. `dead_token`: the fencing token of the run that it was taken over from; None: it was queued
    all along."""

    job: StageJob
    dead_token: int | None
    due_in_seconds: float


class RecordCheck(Protocol):
    """Whether the records of uploads can be relied on. Errors: DependencyUnavailable, TempVolumeError."""

    async def up_to_date(self) -> bool:
        """Make sure that this run of Redis has every record that the journals have. False: not now."""


@dataclass(frozen=True, slots=True)
class HeldSegment:
    """A segment that has arrived. `on_volume`: its bytes are on the temp volume. They stay there while the run reads
    them or, where it reads `from_store`, until the segment is stored."""

    crc32c: int
    on_volume: bool
    stored: bool


class StageRuns(Protocol):
    """Runs of stages: each holds a lease and a fencing token. Errors: DependencyUnavailable; StageLost when `job` is
    not the latest run or the upload has ended."""

    @property
    def lease_seconds(self) -> float:
        """A run that has not renewed its lease for this long is taken over."""

    async def start(self, job: StageJob, worker: str) -> StageStart:
        """Acquire the stage's lease."""

    async def renew(self, job: StageJob) -> None:
        """Extend the lease."""

    async def finish(
        self,
        job: StageJob,
        result: Mapping[str, Any] | None,
        *,
        skipped: bool = False,
        also: Mapping[Stage, Mapping[str, Any] | None] | None = None,
        continuation: Continuation | None = None,
    ) -> Finished:
        """Record that the stage is done, with its result. `also`: stages whose work this run has done too, with their
        results (None: there was nothing to do); those that have begun meanwhile are left alone. `continuation`: what
        the caller can run next; the lease of that run begins at once, and it has no job."""

    async def record_outage(self, job: StageJob, dependency: Dependency) -> Outage:
        """Count a failure caused by a dependency; returns the consecutive failures of this kind. Success, progress (a
        segment stored or fetched) and a failure of another kind or of another dependency end the sequence."""

    async def retry(self, job: StageJob, error_code: str, after_seconds: float, *, outage: bool = False) -> StageJob:
        """Count a failed attempt (`outage`: a dependency caused it) and queue the next one."""

    async def requeue(self, job: StageJob) -> StageJob:
        """Queue the stage again without counting an attempt: its worker is stopping."""

    async def fail(self, job: StageJob, error: SluiceError) -> None:
        """Record that the stage cannot succeed. It fails, and the upload with it."""

    async def acknowledge_end(self, job: StageJob) -> None:
        """Record that this run has stopped because the upload ended, and writes nothing more. Idempotent; never raises
        StageLost."""


class StageIdle(Protocol):
    """Lets transfer release its lease while it has nothing to do."""

    async def idle(self, job: StageJob) -> bool:
        """Release the lease; False: more segments have arrived meanwhile. Raises StageLost, DependencyUnavailable."""


class StageReads(Protocol):
    """Tells a stage that reads the file where its bytes are, and lets it wait for bytes without holding a worker.
    `max_reads`: of a windowed upload, how many segments its reader may hold on the temp volume; None: all. Where the
    run reads stored segments `from_store`, it holds none that has arrived, and only those that it waits for count.
    Errors: DependencyUnavailable, StageLost."""

    async def hold(
        self, job: StageJob, numbers: Collection[int], max_reads: int | None, *, from_store: bool = False
    ) -> Mapping[int, HeldSegment]:
        """Where the bytes of these segments are, without those that have not arrived."""

    async def want(
        self, job: StageJob, numbers: Collection[int], max_reads: int | None, *, from_store: bool = False
    ) -> bool:
        """Announce segments that the run needs and that have not arrived. False: it need not or must not wait for them
        itself: read again, or `park`."""

    async def park(
        self,
        job: StageJob,
        numbers: Collection[int],
        max_reads: int | None,
        *,
        from_store: bool = False,
        sealed: bool = False,
    ) -> bool:
        """Release the lease until these segments have arrived, or (`sealed`) until the store has the whole object.
        False: nothing keeps the run from reading now. A stage that has requested segments too often, or more than fit
        into its window, waits for all of them instead; one that reads `from_store` requests some of them first."""


class StageResults(Protocol):
    """What finished stages keep for later ones."""

    async def results(self, upload_id: str) -> Mapping[Stage, Mapping[str, Any]]:
        """Stage -> its result, JSON-able. Raises DependencyUnavailable."""


class StageWatch(Protocol):
    """Finds runs that stopped without saying so. Errors: DependencyUnavailable."""

    async def stale(self, jobs: Sequence[StageJob]) -> Sequence[StageJob]:
        """Those of `jobs` that can no longer run: the stage has a later run, or has ended."""

    async def overdue(self, limit: int) -> Sequence[OverdueStage]:
        """Take over stages whose lease has lapsed: each comes back as a new run to enqueue. Queued stages whose job may
        be lost come back unchanged: enqueueing is idempotent by job id."""


@dataclass(frozen=True, slots=True)
class RetriedStage:
    """A stage that was to be retried. `retried`: it paused, and a new run is due now. `job` is to be enqueued, also
    where the stage was due already; `dead_token`: the fencing token of the run that it replaces. None: the stage does
    not wait for a worker."""

    state: StageState
    retried: bool
    job: StageJob | None = None
    dead_token: int | None = None


class StageRetries(Protocol):
    """Ends the pause of a stage after a failed attempt. Errors: DependencyUnavailable."""

    async def retry_now(self, upload_id: str, stage: Stage) -> RetriedStage:
        """Make a stage that pauses due now. Idempotent, and atomic: an upload that ends at the same moment is not
        touched. Raises RequestError UPLOAD_NOT_FOUND; UploadEnded UPLOAD_ENDED."""


class StageQueue(Protocol):
    """Carries jobs to workers. Errors: DependencyUnavailable."""

    async def enqueue(self, job: StageJob, after_seconds: float = 0.0) -> None:
        """Idempotent by job id; wakes a worker at once."""

    async def jobs(self, volume: str, limit: int) -> Sequence[StageJob]:
        """The jobs in the queues that workers of this volume read, up to `limit` of each queue, oldest first."""

    async def discard(self, job: StageJob) -> None:
        """Remove the job of a run that has ended without removing it. Idempotent."""
