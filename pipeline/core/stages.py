"""The stage graph as data: which stage runs after which, on which worker type, and for how long at most.

Guarantee: `GRAPH` is acyclic and complete (a test checks both). The Redis scripts receive it (see `core.transports`)
and decide atomically which stages may start. An upload that becomes a content is `ready` when stage
`FINAL` is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """A step of the pipeline. Each upload has a state for each stage."""

    TRANSFER = "transfer"
    SEAL = "seal"
    ASSEMBLE = "assemble"
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    PERSIST = "persist"


class WorkerType(StrEnum):
    """A kind of worker process. Each kind scales independently."""

    ADMISSION = "admission"
    TRANSFER = "transfer"
    ASSEMBLE = "assemble"
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    PERSIST = "persist"
    NOTIFY = "notify"


class StageState(StrEnum):
    """Where a stage of an upload is. `idle`: it has done what it can with the segments that have arrived, and is queued
    again when there is more to do. `stopped`: the upload ended before the stage did."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    IDLE = "idle"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    STOPPED = "stopped"


class Trigger(StrEnum):
    """What starts a stage: an event of the upload, or the end of the stage's predecessors."""

    FIRST_SEGMENT = "first_segment"
    ALL_RECEIVED = "all_received"
    PREDECESSORS = "predecessors"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: its worker type, the stages that must be `done` or `skipped` before it, and its limits.

    `reads`: it runs the reader, which may request segments that have not arrived (`core.reading`). `for_digest`: it is
    `skipped` unless the client announced a digest of the whole file.

    `timeout_seconds` limits one attempt. `max_attempts` limits attempts that end in a retryable error, except errors of
    an unavailable dependency and unexpected ones: those are limited by time (`core.retry.OutageBudget`).
    """

    worker: WorkerType
    after: tuple[Stage, ...]
    trigger: Trigger
    timeout_seconds: float
    max_attempts: int
    reads: bool = False
    for_digest: bool = False


GRAPH: Mapping[Stage, StageSpec] = {
    # transfer runs from the first segment to the last: for hours, if the client is slow
    Stage.TRANSFER: StageSpec(WorkerType.TRANSFER, (), Trigger.FIRST_SEGMENT, 24 * 3600, 24),
    Stage.SEAL: StageSpec(WorkerType.TRANSFER, (Stage.TRANSFER,), Trigger.PREDECESSORS, 600, 24),
    Stage.ASSEMBLE: StageSpec(WorkerType.ASSEMBLE, (), Trigger.ALL_RECEIVED, 4 * 3600, 4, for_digest=True),
    # The reader itself bounds CPU and wall time. This time includes waiting for its slots and for a slow store.
    Stage.PROBE: StageSpec(WorkerType.PROBE, (), Trigger.FIRST_SEGMENT, 3600, 3, reads=True),
    Stage.THUMBNAIL: StageSpec(WorkerType.THUMBNAIL, (Stage.PROBE,), Trigger.PREDECESSORS, 3600, 12, reads=True),
    Stage.PERSIST: StageSpec(
        WorkerType.PERSIST, (Stage.SEAL, Stage.THUMBNAIL, Stage.ASSEMBLE), Trigger.PREDECESSORS, 60, 24
    ),
}

FINAL = Stage.PERSIST

# Stages that can be run again for stored contents (`ports.replays.Replayable`).
REPLAYABLE: tuple[Stage, ...] = (Stage.PROBE, Stage.THUMBNAIL)

# Worker types that take no jobs: the clock and signals start their loops.
LOOPING: frozenset[WorkerType] = frozenset({WorkerType.ADMISSION, WorkerType.NOTIFY})

# Worker types that need the temp volume.
DISK_BOUND: frozenset[WorkerType] = frozenset(WorkerType) - {WorkerType.PERSIST, WorkerType.NOTIFY}

# Worker types that belong to a temp volume. Their queues carry its name.
OF_VOLUME: frozenset[WorkerType] = DISK_BOUND | {WorkerType.NOTIFY}
