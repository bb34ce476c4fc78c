"""The contract between the engine and the stages: what a stage receives and what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.model import StageJob, Upload
from pipeline.core.stages import Stage


@dataclass(frozen=True, slots=True)
class StageRun:
    """One run of a stage. `stop` is set when the worker stops: the stage finishes the work in progress and returns
    Requeue."""

    job: StageJob
    upload: Upload
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Done:
    """The stage is done; `result` is kept for later stages and JSON-able. `also`: stages that need not run, because
    this run has done their work too, with their results (None: there was nothing to do)."""

    result: Mapping[str, Any] | None = None
    also: Mapping[Stage, Mapping[str, Any] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """There was nothing to do."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The run has released its lease; the stage is queued again when there is more to do."""


@dataclass(frozen=True, slots=True)
class Parked:
    """The stage waits for bytes. The run has released its lease; the arrival of the bytes queues the stage again."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """An earlier stage has to run again first. The run has released its lease; `jobs` are to be enqueued."""

    jobs: Sequence[StageJob]


@dataclass(frozen=True, slots=True)
class Requeue:
    """Not done, because the worker stops: the stage is queued for another worker."""


Outcome = Done | Skipped | Idle | Parked | Blocked | Requeue


class StageHandler(Protocol):
    """Does the work of one stage; may be repeated. Raises SluiceError; StageLost as soon as the run is no longer the
    latest."""

    async def __call__(self, run: StageRun) -> Outcome: ...
