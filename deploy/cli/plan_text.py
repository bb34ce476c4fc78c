"""A plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from deploy.cli.formatting import format_bytes, format_seconds
from deploy.cli.plan_constants import Constants
from deploy.cli.plan_model import BUSY_SHARE, PEAK, Plan


def plan_lines(plan: Plan, constants: Constants) -> Iterator[str]:
    """The plan for a person."""
    load, volume = plan.load, plan.volume
    segments = load.plan
    yield (
        f"{load.uploads_per_hour:g} uploads per hour of {format_bytes(segments.size_bytes)} ({load.kind}),"
        f" each sent at {format_bytes(load.client_rate)}/s"
    )
    yield f"  segments          {segments.count} of {format_bytes(segments.length(1))}"
    yield (
        f"  one upload        {format_seconds(load.send_seconds)} to send, and its room is free"
        f" {format_seconds(constants.release_seconds)} later"
    )
    yield f"  in flight         {plan.in_flight_mean:.3g} on average, {plan.in_flight_peak} at the peak ({PEAK:.1%})"
    yield "temp volume"
    yield f"  held on average   {format_bytes(volume.mean_bytes)}, where segments leave as they are stored"
    yield f"                    {format_bytes(volume.mean_whole_bytes)}, where metadata is known after the last byte"
    yield f"  budget            {format_bytes(volume.budget_bytes)} holds every file of a peak whole"
    yield f"                    {format_bytes(volume.least_budget_bytes)} holds a window of every file of a peak"
    yield f"processes           (at most {BUSY_SHARE:.0%} busy on average)"
    for name, process in plan.processes.items():
        if name not in ("redis", "postgres"):
            decided = "" if process.reason == "cpu" else f", decided by {process.reason}"
            memory = format_bytes(process.processes * process.resident_bytes)
            yield f"  {name:17} {process.processes}: {process.busy_cores:.3g} cores busy, {memory} of memory{decided}"
    redis, postgres = plan.processes["redis"], plan.processes["postgres"]
    yield "servers"
    yield (
        f"  redis             {redis.busy_cores:.3g} of its one core busy, {format_bytes(plan.redis_bytes)} of memory"
        f" for {plan.redis_records:,.0f} records of ended uploads"
    )
    yield (
        f"  postgres          {postgres.busy_cores:.3g} cores busy,"
        f" {format_bytes(plan.database_bytes_per_day)} more on the disk each day"
    )
    machine = constants.machine
    yield (
        f"From constants of {constants.measured_at[:10]}: {machine.get('cores')} cores, {machine.get('cpu')},"
        f" store {constants.store}. Measure your own: make plan-constants."
    )


def plan_json(plan: Plan, constants: Constants) -> dict[str, Any]:
    """The plan for programs: bytes, seconds, and shares of a core. Fields may be added but are never renamed."""
    load = plan.load
    return {
        "load": {
            "uploads_per_hour": load.uploads_per_hour,
            "size_bytes": load.plan.size_bytes,
            "client_bytes_per_second": load.client_rate,
            "media": load.kind,
            "segment_bytes": load.plan.length(1),
            "segment_count": load.plan.count,
        },
        "in_flight": {"mean": plan.in_flight_mean, "peak": plan.in_flight_peak, "send_seconds": load.send_seconds},
        "temp_volume": asdict(plan.volume),
        "processes": {name: asdict(process) for name, process in plan.processes.items()},
        "upload_cpu_seconds": dict(plan.upload_cpu_seconds),
        "redis": {"memory_bytes": plan.redis_bytes, "records": plan.redis_records},
        "database": {"bytes_per_day": plan.database_bytes_per_day},
        "constants": {
            "measured_at": constants.measured_at,
            "machine": dict(constants.machine),
            "store": constants.store,
        },
    }
