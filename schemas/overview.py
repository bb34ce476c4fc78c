"""The state of a cell for operators: what the routes below /v1/status return, from the records in Redis
(`schemas.status`).

Sizes are in bytes, times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas import overview_examples as examples
from schemas.cells import CellFilter, UnreachableCells
from schemas.times import UtcTime
from schemas.uploads import UploadView


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class OverviewQuery(CellFilter):
    """Query of `GET /v1/status`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history_after: UtcTime | None = Field(
        None, description="Only samples after this time: `at` of the last one that is known. Missing: the last hour"
    )


class VolumeSample(_Part):
    """The counters of a temp volume at one time."""

    at: datetime
    budget: int
    reserved: int
    on_disk: int
    free: int
    waiting: int
    holding: int


class WaitingUpload(_Part):
    """An upload that waits for room."""

    id: str
    owner: str
    filename: str
    size: int
    requested: int = Field(description="Bytes of the temp volume that it waits for: its file, or a window")
    waiting_since: datetime
    overtaken: int = Field(description="How often a smaller upload has overtaken it")


class VolumeOverview(_Part):
    """A temp volume."""

    cell: int = Field(0, description="Number of its cell")
    name: str
    budget: int = Field(description="Bytes that all uploads together may reserve")
    reserved: int = Field(description="Bytes that are reserved now")
    on_disk: int = Field(description="Reserved bytes that are allocated on the disk")
    free: int = Field(description="Free bytes of the disk at the last measurement")
    measured_at: datetime | None
    admission_ran_at: datetime | None = Field(description="When an admission worker last admitted uploads")
    draining_since: datetime | None = Field(
        description="Since when it is drained (`sluice drain`): it takes no new uploads; null: it is not"
    )
    holding: int = Field(description="Uploads that hold room")
    waiting: int = Field(description="Uploads that wait for room")
    queue: list[WaitingUpload] = Field(
        description="The first uploads that wait, in the order in which they would be admitted if everything fitted"
    )
    history: list[VolumeSample] = Field(description="One sample every ten seconds, oldest first")


class StatusOverview(_Part):
    """The uploads of one status."""

    status: str
    count: int
    oldest_since: datetime | None = Field(description="Since when the one that reached this status first has it")


class QueueOverview(_Part):
    """The queue of a worker type, from which its workers take stages."""

    cell: int = Field(0, description="Number of its cell")
    worker: str
    volume: str | None = Field(description="Null: one queue for all temp volumes of the cell")
    depth: int = Field(description="Stages that wait for a worker, also those that pause after a failed attempt")
    oldest_due_since: datetime | None = Field(description="Since when the first one is due; null: none is due")


class StageOverview(_Part):
    """What the runs of a stage have done, all uploads together."""

    stage: str
    worker: str
    done: int
    retried: int = Field(description="Failed attempts after which the stage is tried again")
    failed: int
    taken_over: int = Field(description="Runs whose worker stopped renewing its lease")
    done_per_minute: float | None = Field(description="Over the last minutes; null: not known yet")
    wait_seconds: float | None = Field(
        description="Mean time from when a stage was due to its start, over the last minutes; null: none has started"
    )


class WorkerOverview(_Part):
    """A worker process that is alive."""

    cell: int = Field(0, description="Number of its cell")
    name: str
    types: list[str]
    volume: str
    seen_at: datetime
    confinement: str | None = Field(
        description="complete or incomplete: whether its media reader's sandbox does all that it should; null: it "
        "reads no files"
    )


class FailureOverview(_Part):
    """Uploads that failed or expired with the same code."""

    code: str
    count: int
    latest_at: datetime
    latest_id: str


class FailuresOverview(_Part):
    """The uploads that failed or expired last, by error code."""

    examined: int
    complete: bool = Field(description="False: there are older ones, which were not examined")
    since: datetime | None = Field(description="When the oldest of those that were examined ended")
    codes: list[FailureOverview] = Field(description="Most frequent first")


class Overview(_Part):
    """The cells at one time."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.OVERVIEW]})

    at: datetime = Field(
        description="The time of the Redis of this gateway's cell. All other times here refer to that of their own cell"
    )
    volumes: list[VolumeOverview]
    statuses: list[StatusOverview]
    queues: list[QueueOverview]
    stages: list[StageOverview]
    rate_seconds: float | None = Field(description="The time over which rates and waits of stages are calculated")
    workers: list[WorkerOverview]
    failures: FailuresOverview
    unreachable_cells: UnreachableCells = Field(default_factory=list)


class StageBar(_Part):
    """One stage of an upload, as a bar on the time axis."""

    stage: str
    state: str = Field(description="pending, queued, running, idle, done, skipped, failed or stopped")
    state_since: datetime | None
    due_at: datetime | None = Field(
        description="When its latest run was due, or is: in the future while it pauses after a failed attempt"
    )
    started_at: datetime | None = Field(description="Start of the first run")
    finished_at: datetime | None
    attempts: int
    failures: int = Field(description="Attempts that ended in an error")
    outages: int = Field(description="How many of those an unavailable dependency caused")
    takeovers: int = Field(description="Runs whose worker stopped renewing its lease")
    outage_since: datetime | None = Field(description="Since when a dependency has been unavailable to it")
    outage_dependency: str | None = Field(description="store, database, redis, disk or worker")
    waits_for: str | None = Field(description="Of an idle stage: segments, received or sealed")
    worker: str | None = Field(description="The worker process of the latest run")
    error_code: str | None = Field(description="Of the latest failed attempt, until a later one succeeds")


class Timeline(_Part):
    """The life of an upload."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TIMELINE]})

    upload: UploadView
    admitted_at: datetime | None = Field(description="When it was first admitted; null also where it needs no room")
    receiving_at: datetime | None = Field(description="When the first of several segments had arrived")
    received_at: datetime | None = Field(description="When every byte had first arrived")
    ended_at: datetime | None
    cleaned_at: datetime | None = Field(description="When everything of it but the content had been removed")
    stages: list[StageBar] = Field(description="In the order of the pipeline")


class FoundPage(_Part):
    """Uploads that match a search."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.FOUND]})

    items: list[UploadView]
    examined: int = Field(description="How many uploads were looked at, newest first")
    next_cursor: str | None = Field(description="Continues the search; null: there are no older uploads")
    unreachable_cells: UnreachableCells = Field(default_factory=list)


class StageRetry(_Part):
    """What a retry has done."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RETRY]})

    id: str
    stage: str
    state: str = Field(description="The state of the stage now")
    retried: bool = Field(description="True: it paused, and runs now. False: it did not pause; nothing has changed")
