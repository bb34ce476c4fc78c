"""The overview of an installation from those of its cells. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from schemas.overview import (
    FailureOverview,
    FailuresOverview,
    Overview,
    QueueOverview,
    StageOverview,
    StatusOverview,
    VolumeOverview,
    WorkerOverview,
)

P = TypeVar("P", VolumeOverview, QueueOverview, WorkerOverview)
T = TypeVar("T")


def merged_overviews(own: int, overviews: Mapping[int, Overview], unreachable: Sequence[int]) -> Overview:
    """`overviews`: by number of a cell; that of `own` is one of them, and gives the time. Volumes, queues and workers
    are listed with their cell; counts are added."""
    cells = dict(sorted(overviews.items()))
    every = list(cells.values())
    rates = [overview.rate_seconds for overview in every if overview.rate_seconds is not None]
    return Overview(
        at=cells[own].at,
        volumes=_numbered(cells, lambda overview: overview.volumes),
        statuses=_statuses(every),
        queues=_numbered(cells, lambda overview: overview.queues),
        stages=_stages(every),
        rate_seconds=min(rates, default=None),
        workers=_numbered(cells, lambda overview: overview.workers),
        failures=_failures(every),
        unreachable_cells=list(unreachable),
    )


def _numbered(cells: Mapping[int, Overview], parts: Callable[[Overview], Sequence[P]]) -> list[P]:
    """The number is that under which the cell was asked."""
    return [part.model_copy(update={"cell": cell}) for cell, overview in cells.items() for part in parts(overview)]


def _grouped(items: Iterable[T], name: Callable[[T], str]) -> list[list[T]]:
    """Items of the same name together, in the order in which the names come first."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(name(item), []).append(item)
    return list(groups.values())


def _statuses(every: Sequence[Overview]) -> list[StatusOverview]:
    groups = _grouped((item for overview in every for item in overview.statuses), lambda item: item.status)
    return [
        StatusOverview(
            status=group[0].status,
            count=sum(item.count for item in group),
            oldest_since=_earliest(item.oldest_since for item in group),
        )
        for group in groups
    ]


def _stages(every: Sequence[Overview]) -> list[StageOverview]:
    groups = _grouped((item for overview in every for item in overview.stages), lambda item: item.stage)
    return [_stage(group) for group in groups]


def _stage(group: Sequence[StageOverview]) -> StageOverview:
    """The mean wait is weighted with the runs per minute of each cell."""
    rates = [item.done_per_minute for item in group if item.done_per_minute is not None]
    waits = [(item.wait_seconds, item.done_per_minute or 0.0) for item in group if item.wait_seconds is not None]
    weight = sum(rate for _, rate in waits)
    longest = max((seconds for seconds, _ in waits), default=None)
    return StageOverview(
        stage=group[0].stage,
        worker=group[0].worker,
        done=sum(item.done for item in group),
        retried=sum(item.retried for item in group),
        failed=sum(item.failed for item in group),
        taken_over=sum(item.taken_over for item in group),
        done_per_minute=round(sum(rates), 2) if rates else None,
        wait_seconds=sum(seconds * rate for seconds, rate in waits) / weight if weight else longest,
    )


def _failures(every: Sequence[Overview]) -> FailuresOverview:
    parts = [overview.failures for overview in every]
    codes = []
    for group in _grouped((item for part in parts for item in part.codes), lambda item: item.code):
        latest = max(group, key=lambda item: item.latest_at)
        codes.append(
            FailureOverview(
                code=latest.code,
                count=sum(item.count for item in group),
                latest_at=latest.latest_at,
                latest_id=latest.latest_id,
            )
        )
    return FailuresOverview(
        examined=sum(part.examined for part in parts),
        complete=all(part.complete for part in parts),
        since=_earliest(part.since for part in parts),
        codes=sorted(codes, key=lambda item: -item.count),
    )


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
