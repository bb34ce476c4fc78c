"""The formulas of `sluice plan`, which docs/planning.md explains. Pure functions: a load and constants give a plan.

With lambda uploads per second, of S bytes each, that a client sends at R bytes per second:
- Little's law: lambda x (time in the system) uploads are in flight on average. Arrivals are taken as independent of
  each other, so the number in flight has a Poisson distribution (M/G/infinity); its 99.9th percentile is the peak.
- The same law for bytes (H = lambda G): the volume holds lambda x (bytes x seconds that one upload holds) on average.
- A process type is busy lambda x (CPU seconds per upload) of the time; enough processes keep each below `BUSY_SHARE`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.cli.plan_constants import Constants, MediaKind, ProcessCost
from deploy.cli.plan_errors import PlanError
from pipeline.core.journal_size import journal_bytes
from pipeline.core.model import NewUpload
from pipeline.core.segments import SegmentPlan
from pipeline.core.windows import on_disk_bytes

GIB: Final = 1024**3
SEGMENTS_AT_ONCE: Final = 4
"""How many segments of a file a client sends at once: `sluice upload` and the upload page do."""
BUSY_SHARE: Final = 0.6
"""How busy a process may be on average, so that it serves a burst without a long queue."""
PEAK: Final = 0.999
"""The peak is exceeded for one thousandth of the time."""
WINDOW_SEGMENTS: Final = 6
"""The smallest window with which client, store and reader work at the same time (`core.windows`)."""
CONNECTIONS_PER_GATEWAY: Final = 2000
"""Half of the connections that one gateway accepts by default, so that one of two gateways may fail."""


@dataclass(frozen=True, slots=True)
class Load:
    """Uploads per hour, of `plan.size_bytes` each, and the bytes per second at which one client sends."""

    uploads_per_hour: float
    plan: SegmentPlan
    client_rate: float
    kind: MediaKind

    @property
    def per_second(self) -> float:
        return self.uploads_per_hour / 3600

    @property
    def send_seconds(self) -> float:
        return self.plan.size_bytes / self.client_rate


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that limit one process, or how long Redis keeps a record."""

    retention_seconds: float
    share: float
    """Of the volume's budget that one file may reserve."""
    stage_concurrency: int
    media_concurrency: int


@dataclass(frozen=True, slots=True)
class Volume:
    """The temp volume, in bytes."""

    mean_bytes: float
    """Held on average, where segments leave the volume as soon as they are stored."""
    steady_peak_bytes: float
    """Held at most, where besides uploads arrive evenly."""
    mean_whole_bytes: float
    """Held on average, where nothing leaves before the last byte: the metadata is at the end."""
    budget_bytes: int
    """Holds every file of a peak whole."""
    least_budget_bytes: int
    """Holds a window for every file of a peak."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process type. `busy_cores`: of all its processes together."""

    processes: int
    busy_cores: float
    resident_bytes: float
    reason: str
    """What decides the number of processes: `cpu`, `connections` or `slots`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the load needs. `processes`: by process type; `redis` and `postgres` are servers, one each."""

    load: Load
    in_flight_mean: float
    in_flight_peak: int
    volume: Volume
    processes: Mapping[str, ProcessPlan]
    redis_bytes: float
    redis_records: float
    database_bytes_per_day: float
    upload_cpu_seconds: Mapping[str, float]
    """CPU seconds that one upload costs each process type."""


def make_plan(load: Load, constants: Constants, limits: Limits) -> Plan:
    """The plan of a load. Raises PlanError REDIS_SATURATED when no single Redis can serve it."""
    in_flight = load.per_second * (load.send_seconds + constants.release_seconds)
    peak = poisson_quantile(in_flight, PEAK)
    costs = {name: upload_cpu(load, cost) for name, cost in constants.processes.items()}
    processes = {
        name: _processes(name, load.per_second * costs[name], cost, peak, limits)
        for name, cost in constants.processes.items()
    }
    redis_cores = processes["redis"].busy_cores
    if redis_cores > 1:
        raise PlanError(
            "REDIS_SATURATED",
            f"Redis executes commands on one core, and this load needs {redis_cores:.1f} of them: distribute it over"
            " several cells (docs/cells.md).",
        )
    more_segments = load.plan.count - 1
    records = load.per_second * limits.retention_seconds
    sizes = constants.redis
    return Plan(
        load,
        in_flight,
        peak,
        plan_volume(load, constants.release_seconds, peak, limits.share),
        processes,
        sizes.base
        + peak * (sizes.in_flight + more_segments * sizes.segment)
        + records * (sizes.ended + more_segments * sizes.segment),
        records,
        load.per_second * 86400 * constants.database_bytes,
        costs,
    )


def upload_cpu(load: Load, cost: ProcessCost) -> float:
    """CPU seconds of one upload: for itself, for its bytes, and for the time in which its client sends them."""
    bytes_seconds = cost.gib_seconds * load.plan.size_bytes / GIB
    return cost.upload_seconds(load.kind) + bytes_seconds + cost.sending_share * load.send_seconds


def plan_volume(load: Load, release_seconds: float, peak: int, share: float) -> Volume:
    """The temp volume for at most `peak` uploads at once. The budget is at least so large that a file is held whole."""
    size = load.plan.size_bytes
    beside = _journal_bytes(load.plan)
    whole = on_disk_bytes(size) + beside
    early = sum(length * (arrival + release_seconds) for length, arrival in arrivals(load))
    life = load.send_seconds + release_seconds
    mean = load.per_second * (early + beside * life)
    window = min(size, WINDOW_SEGMENTS * load.plan.segment_bytes)
    return Volume(
        mean_bytes=mean,
        steady_peak_bytes=mean + whole / 2,
        mean_whole_bytes=load.per_second * whole * life,
        budget_bytes=max(peak * whole, math.ceil(whole / share)),
        least_budget_bytes=max(peak, 4) * (on_disk_bytes(window) + beside),
    )


def arrivals(load: Load) -> Iterator[tuple[int, float]]:
    """Of each segment: its bytes, and the second after the beginning at which it has arrived. Segments that are sent at
    once share the client's rate, so all of them arrive together."""
    sent = 0
    for first in range(1, load.plan.count + 1, SEGMENTS_AT_ONCE):
        lengths = [
            load.plan.length(number) for number in range(first, min(first + SEGMENTS_AT_ONCE, load.plan.count + 1))
        ]
        sent += sum(lengths)
        for length in lengths:
            yield length, sent / load.client_rate


def poisson_quantile(mean: float, share: float) -> int:
    """The smallest number that a Poisson distribution with this mean does not exceed with probability `share`; at least
    1. Above a mean of 500, by the normal approximation."""
    if mean > 500:
        return math.ceil(mean + 3.09 * math.sqrt(mean))
    number, term = 0, math.exp(-mean)
    total = term
    while total < share:
        number += 1
        term *= mean / number
        total += term
    return max(1, number)


def _processes(name: str, busy: float, cost: ProcessCost, peak: int, limits: Limits) -> ProcessPlan:
    if name in ("redis", "postgres"):
        return ProcessPlan(1, busy + cost.idle_cores, cost.resident_bytes, "cpu")
    # A worker that reads media runs each file in a process of its own, on a core of its own.
    cores = limits.media_concurrency if name in ("worker-probe", "worker-thumbnail") else 1
    needed = {"cpu": busy / (BUSY_SHARE * cores), "connections": 0.0, "slots": 0.0}
    if name == "gateway":
        needed["connections"] = peak * (SEGMENTS_AT_ONCE + 1) / CONNECTIONS_PER_GATEWAY
    if name == "worker-transfer":  # it has an upload from the first segment to the last
        needed["slots"] = peak / limits.stage_concurrency
    reason = max(needed, key=lambda key: needed[key])
    count = max(1, math.ceil(needed[reason]))
    return ProcessPlan(count, busy + count * cost.idle_cores, cost.resident_bytes, reason)


def _journal_bytes(plan: SegmentPlan) -> int:
    """What the journal of an upload with these segments occupies."""
    return journal_bytes(
        NewUpload(
            upload_id="0" * 36,
            filename="film.mp4",
            size_bytes=plan.size_bytes,
            segment_bytes=plan.segment_bytes,
            content_type="video/mp4",
            volume="local",
            store="swift",
            digest=None,
            metadata={},
            idempotency_key=None,
            fingerprint="",
        )
    )
