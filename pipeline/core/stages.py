"""The stage graph, as data: what runs after what, on which worker type, and for how long.

Guarantee: `GRAPH` is acyclic and complete (a test walks it); the Redis scripts receive it (`core.transports`), so that
"which stages may start now" is decided once, atomically, from this table. An upload is `ready` when `FINAL` is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """A step of the pipeline with a state of its own for every upload."""

    TRANSFER = "transfer"
    SEAL = "seal"
    ASSEMBLE = "assemble"
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    PERSIST = "persist"


class WorkerType(StrEnum):
    """A kind of worker process, scaled by itself."""

    ADMISSION = "admission"
    TRANSFER = "transfer"
    ASSEMBLE = "assemble"
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    PERSIST = "persist"


class StageState(StrEnum):
    """Where a stage of an upload is. `idle`: transfer has stored all that has arrived and more is to come. `stopped`:
    the upload ended before the stage did."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    IDLE = "idle"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    STOPPED = "stopped"


class Trigger(StrEnum):
    """What starts a stage besides its predecessors."""

    FIRST_SEGMENT = "first_segment"
    ALL_RECEIVED = "all_received"
    PREDECESSORS = "predecessors"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: its worker type, what must be `done` or `skipped` before it, and its limits.

    `timeout_seconds` bounds one attempt; `max_attempts` counts attempts that ended in an error worth retrying, but for
    those that ended because a dependency was away: that is bounded by the clock (`core.retry.OutageBudget`).
    """

    worker: WorkerType
    after: tuple[Stage, ...]
    trigger: Trigger
    timeout_seconds: float
    max_attempts: int


GRAPH: Mapping[Stage, StageSpec] = {
    # transfer starts with the first segment and lives as long as segments keep coming: hours, for a slow client
    Stage.TRANSFER: StageSpec(WorkerType.TRANSFER, (), Trigger.FIRST_SEGMENT, 24 * 3600, 24),
    Stage.SEAL: StageSpec(WorkerType.TRANSFER, (Stage.TRANSFER,), Trigger.PREDECESSORS, 600, 24),
    Stage.ASSEMBLE: StageSpec(WorkerType.ASSEMBLE, (), Trigger.ALL_RECEIVED, 4 * 3600, 4),
    Stage.PROBE: StageSpec(WorkerType.PROBE, (Stage.ASSEMBLE,), Trigger.PREDECESSORS, 300, 3),
    Stage.THUMBNAIL: StageSpec(WorkerType.THUMBNAIL, (Stage.PROBE,), Trigger.PREDECESSORS, 300, 12),
    Stage.PERSIST: StageSpec(WorkerType.PERSIST, (Stage.SEAL, Stage.THUMBNAIL), Trigger.PREDECESSORS, 60, 24),
}

FINAL = Stage.PERSIST

# Worker types whose work needs the temp volume: their queues carry the volume's name.
DISK_BOUND: frozenset[WorkerType] = frozenset(WorkerType) - {WorkerType.PERSIST}


def successors(stage: Stage) -> list[Stage]:
    """The stages that wait for `stage`."""
    return [candidate for candidate, spec in GRAPH.items() if stage in spec.after]
