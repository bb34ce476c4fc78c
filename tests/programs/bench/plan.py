"""`sluice plan` against a real run: the constants are measured, then a load of another size and rate runs, and what was
predicted is shown beside what was measured.

Uploads arrive evenly, so the peak of the temp volume is the one of an even load. `--constants` names a file for the
constants.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from rich.console import Console

from deploy.cli.plan_constants import Constants
from deploy.cli.plan_model import Limits, Load, Plan, make_plan
from pipeline.core.segments import SegmentPlan
from pipeline.settings import Settings
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.machine import machine_facts
from tests.programs.bench.paced import Ended, PacedLoad, send_paced
from tests.programs.bench.plan_constants import Laboratory, measure_constants
from tests.programs.bench.redis_state import RedisState, redis_state
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.usage import CpuMeter

PART = "plan"
_UPLOADS: Final = 90
_MIB_EACH: Final = 24
_RATE: Final = 2 * MIB
_INTERVAL_SECONDS: Final = 1.0
_SAMPLE_SECONDS: Final = 0.1
_ALONE_SECONDS: Final = 10.0
# A process that needed less was measured too coarsely: the kernel counts in hundredths of a second.
_LEAST_CPU_SECONDS: Final = 0.5


def measure_plan(bed: Bed, console: Console, *, scale: float, constants_file: Path | None) -> list[Figure]:
    """Predicted and measured: bytes held on the temp volume, CPU seconds per upload by process, bytes in Redis."""
    machine = machine_facts(bed.directory)
    alone = _alone(bed, max(2.0, _ALONE_SECONDS * scale))
    with own_cell(bed, PART) as cell, redis_state(cell.settings) as state:
        laboratory = Laboratory(bed, cell, state, console, scale)
        figures, constants = asyncio.run(_measure(laboratory, alone, machine))
    with redis_state(cell.settings) as state:
        state.remove_all()
    if constants_file is not None:
        constants_file.write_text(json.dumps(constants.model_dump(), indent=2) + "\n")
        console.print(f"  constants written to {constants_file}", highlight=False)
    return figures


def _alone(bed: Bed, seconds: float) -> dict[str, float]:
    """What the servers need for the processes of the test bed, as a share of a core."""
    servers = bed.by_process()
    meter = CpuMeter({name: servers[name] for name in ("redis", "postgres")})
    time.sleep(seconds)  # what is measured is this time without uploads
    return {name: used / seconds for name, used in meter.read().items()}


async def _measure(
    laboratory: Laboratory, alone: Mapping[str, float], machine: Mapping[str, Any]
) -> tuple[list[Figure], Constants]:
    bed, cell = laboratory.bed, laboratory.cell
    sample = bed.directory / "planned.mp4"
    make_large_video(bed.ffmpeg, sample, max(4, int(_MIB_EACH * laboratory.scale)) * MIB)
    count = laboratory.count(_UPLOADS, 8)
    paced = PacedLoad(sample, "video/mp4", count, _INTERVAL_SECONDS, _RATE)
    await send_paced(cell.processes.url, PacedLoad(sample, "video/mp4", 2, 0, 8 * MIB))  # code is compiled
    idle = await laboratory.idle()
    constants = await measure_constants(laboratory, idle, alone, machine)
    plan = make_plan(_load(paced, cell.settings), constants, _limits(cell.settings))
    before = laboratory.memory()
    with _reserved(laboratory.state) as reserved:
        used, ended = await laboratory.spent(paced, idle)
    growth = laboratory.growth(before) / count
    comparison = _Comparison(laboratory.console)
    comparison.add("Redis per ended upload", "KiB", _record_bytes(plan, constants) / 1024, growth / 1024)
    held = _steady(reserved, plan, ended)
    comparison.add("temp volume, held on average", "MiB", plan.volume.mean_bytes / MIB, statistics.mean(held) / MIB)
    comparison.add("temp volume, held at the peak", "MiB", plan.volume.steady_peak_bytes / MIB, max(held) / MIB)
    for name, predicted in plan.upload_cpu_seconds.items():
        counts = used[name] * count >= _LEAST_CPU_SECONDS
        comparison.add(f"CPU per upload, {name}", "ms", 1000 * predicted, 1000 * used[name], counts=counts)
    return comparison.all(), constants


class _Comparison:
    """What was predicted beside what was measured."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._figures: list[Figure] = []
        self._ratios: list[float] = []

    def add(self, name: str, unit: str, predicted: float, measured: float, *, counts: bool = True) -> None:
        """`counts`: whether the ratio is one of those that shall be near 1."""
        ratio = f", ratio {predicted / measured:.2f}" if measured > 0 else ""
        self._console.print(
            f"  {name}: predicted {predicted:.3g}, measured {measured:.3g} {unit}{ratio}", highlight=False
        )
        self._figures += [
            Figure(PART, f"{name}: predicted", unit, [predicted]),
            Figure(PART, f"{name}: measured", unit, [measured]),
        ]
        if counts and measured > 0:
            self._ratios.append(predicted / measured)

    def all(self) -> list[Figure]:
        furthest = max(self._ratios, key=lambda ratio: max(ratio, 1 / ratio) if ratio > 0 else float("inf"))
        return [*self._figures, Figure(PART, "predicted / measured, furthest from 1", "", [furthest])]


def _load(paced: PacedLoad, settings: Settings) -> Load:
    segments = SegmentPlan(paced.sample.stat().st_size, settings.segment_bytes)
    return Load(3600 / paced.interval_seconds, segments, paced.rate, "video")


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.retention_seconds, settings.temp_share, settings.stage_concurrency, settings.media_concurrency
    )


def _record_bytes(plan: Plan, constants: Constants) -> float:
    return constants.redis.ended + (plan.load.plan.count - 1) * constants.redis.segment


def _steady(reserved: list[tuple[float, int]], plan: Plan, ended: Ended) -> list[int]:
    """The samples from the end of the first upload until the last one begins: as many are in flight all the time."""
    life = plan.in_flight_mean * _INTERVAL_SECONDS
    found = [value for moment, value in reserved if ended.began + life <= moment <= ended.last_began]
    if not found:
        raise RuntimeError("the load ended before as many uploads were in flight as it shall have")
    return found


@contextmanager
def _reserved(state: RedisState) -> Iterator[list[tuple[float, int]]]:
    """Samples of the bytes that all uploads hold, from a thread, during the block."""
    samples: list[tuple[float, int]] = []
    stopping = Event()

    def run() -> None:
        while not stopping.wait(_SAMPLE_SECONDS):
            samples.append((time.monotonic(), state.reserved_bytes()))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stopping.set()
        thread.join()
