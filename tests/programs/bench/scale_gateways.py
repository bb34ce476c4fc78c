"""The cost of an upload with 1, 4 and 16 gateways, of which one receives it and the others are idle.

What all processes do without uploads is measured first, for each number of gateways, and subtracted by time: what
remains is caused by uploads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.cli.processes import SEPARATE, SluiceProcesses
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import cell_groups, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.redis_state import RedisState, redis_state, settled
from tests.programs.bench.scale_clients import Clients, clients_of
from tests.programs.bench.usage import CpuMeter

PART = "scale"
_GATEWAYS: Final = (16, 4, 1)
# To try it out, fewer processes have to start.
_FEW_GATEWAYS: Final = (4, 1)
_SMALL_SCALE: Final = 0.1
_UPLOADS: Final = 200
_AT_ONCE: Final = 4
_IDLE_SECONDS: Final = 20.0
Measured = dict[str, float]


def _with_gateways(count: int) -> type[SluiceProcesses]:
    """Processes of a cell with so many gateways."""

    class Many(PreloadedProcesses):
        def __init__(
            self, directory: Path, environment: Mapping[str, str], *, workers: Mapping[str, Sequence[str]] = SEPARATE
        ) -> None:
            super().__init__(directory, environment, workers=workers, gateways=count)

    return Many


def measure_gateways(bed: Bed, console: Console, photo: bytes, *, scale: float) -> list[Figure]:
    """CPU time, calls in Redis and bytes that Redis sends, per upload and beyond what idle processes need, for each
    number of gateways; and the ratio of the most to one."""
    count = max(10, int(_UPLOADS * scale))
    idle_seconds = max(2.0, _IDLE_SECONDS * scale)
    numbers = _FEW_GATEWAYS if scale < _SMALL_SCALE else _GATEWAYS
    figures: list[Figure] = []
    cpu: dict[int, float] = {}
    with own_cell(bed, "gateways", _with_gateways(numbers[0])) as cell, redis_state(cell.settings) as state:
        for gateways in numbers:
            for name in list(cell.processes.urls)[gateways:]:
                cell.processes.child(name).stop()
            measured = asyncio.run(_measure(bed, cell, state, photo, count, idle_seconds))
            cpu[gateways] = measured["CPU per upload"]
            text = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
            console.print(f"  {gateways} gateways: {text}", highlight=False)
            figures += [
                Figure(PART, f"{gateways} gateways: {key}", _unit(key), [value]) for key, value in measured.items()
            ]
    ratio = cpu[numbers[0]] / cpu[numbers[-1]]
    return [*figures, Figure(PART, f"CPU per upload: {numbers[0]} gateways / {numbers[-1]}", "", [ratio])]


async def _measure(
    bed: Bed, cell: CellProcesses, state: RedisState, photo: bytes, count: int, idle_seconds: float
) -> Measured:
    groups = {**cell_groups(cell), "redis": bed.by_process()["redis"]}
    async with clients_of(cell.processes.url, photo) as clients:
        await _send(clients, _AT_ONCE)  # code that is compiled when it first runs
        await settled(state)
        idle = await _spent(groups, state, asyncio.sleep(idle_seconds))
        used = await _spent(groups, state, _send(clients, count))
    per_upload = {name: (used[name] - idle[name] / idle["s"] * used["s"]) / count for name in idle if name != "s"}
    idle_cpu = sum(idle[group] for group in groups) / idle["s"]
    return {
        "CPU per upload": 1000 * sum(per_upload[group] for group in groups),
        **{f"CPU per upload, {group}": 1000 * per_upload[group] for group in groups},
        "calls per upload": per_upload["calls"],
        "KiB that Redis sends per upload": per_upload["sent"] / 1024,
        "CPU while idle": 100 * idle_cpu,
    }


async def _spent(groups: Mapping[str, Sequence[int]], state: RedisState, work: Awaitable[None]) -> Measured:
    """Seconds, CPU seconds by group, calls in Redis and bytes that it sends, while `work` is awaited."""
    before, meter, began = state.counters(), CpuMeter(groups), time.monotonic()
    await work
    after = state.counters()
    counted = {"calls": float(after.calls - before.calls), "sent": float(after.sent_bytes - before.sent_bytes)}
    return {"s": time.monotonic() - began, **counted, **meter.read()}


async def _send(clients: Clients, count: int) -> None:
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            upload = await clients.post()
            await clients.put(upload["id"])
            await clients.until_ready([upload["id"]])

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


def _unit(name: str) -> str:
    if name == "CPU while idle":
        return "% of a core"
    return "ms" if name.startswith("CPU") else ""
