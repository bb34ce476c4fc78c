"""What a stage is given and what it answers: one file that every stage module imports, and nothing else of the
engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.model import StageJob, Upload


@dataclass(frozen=True, slots=True)
class StageRun:
    """One run of a stage. `stop` is set when the worker shall end: finish what is at hand, then return Requeue."""

    job: StageJob
    upload: Upload
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Done:
    """The stage is done; `result` is kept for later stages, JSON-able."""

    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """There was nothing to do."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The lease is given up already; the stage is queued again when there is more to do."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """An earlier stage has to go on first: the lease is given up already, `jobs` are to be enqueued."""

    jobs: Sequence[StageJob]


@dataclass(frozen=True, slots=True)
class Requeue:
    """Not done, because the worker shall end: somebody else goes on."""


Outcome = Done | Skipped | Idle | Blocked | Requeue


class StageHandler(Protocol):
    """Does the work of one stage. Raises SluiceError; StageLost at once when the run is no longer the latest. May run
    twice."""

    async def __call__(self, run: StageRun) -> Outcome: ...
