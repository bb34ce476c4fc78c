"""Stage jobs as the scripts return them, and the reply that says "this run may not write"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage

_STAGES = frozenset(map(str, Stage))


def known_stage(name: str) -> Stage | None:
    """None: a stage that only another release has; during a rolling upgrade, both may share one Redis."""
    return Stage(name) if name in _STAGES else None


def to_job(item: Mapping[str, Any]) -> StageJob:
    return StageJob(item["upload_id"], Stage(item["stage"]), int(item["fencing_token"]), item["volume"])


def to_jobs(items: Iterable[Mapping[str, Any]] | None) -> tuple[StageJob, ...]:
    """cjson writes an empty list as {}."""
    return tuple(to_job(item) for item in items or ())


def fenced(job: StageJob, reply: dict[str, Any]) -> dict[str, Any]:
    """Return the reply of a script; raises StageLost if the script refused this run."""
    if reply.get("lost"):
        raise StageLost("STAGE_LOST", stage=str(job.stage), upload_id=job.upload_id)
    return reply
