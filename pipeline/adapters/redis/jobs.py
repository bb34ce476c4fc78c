"""Stage jobs as the scripts return them, and the answer that says "this run is no longer the latest"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage


def to_job(item: Mapping[str, Any]) -> StageJob:
    return StageJob(item["upload_id"], Stage(item["stage"]), int(item["fencing_token"]), item["volume"])


def to_jobs(items: Iterable[Mapping[str, Any]] | None) -> tuple[StageJob, ...]:
    """cjson writes an empty list as {}."""
    return tuple(to_job(item) for item in items or ())


def fenced(job: StageJob, answer: dict[str, Any]) -> dict[str, Any]:
    """Pass an answer on; raises StageLost when the script refused this run."""
    if answer.get("lost"):
        raise StageLost("STAGE_LOST", stage=str(job.stage), upload_id=job.upload_id)
    return answer
