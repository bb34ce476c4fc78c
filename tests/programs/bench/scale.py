"""10,000 uploads that wait, 1,000 in flight whose clients send nothing, and 200 a minute that finish.

The same requests at the same rate are measured before any upload waits, in the same processes. Every idle client has an
event stream. Beside that: the cost of an upload with 1, 4 and 16 gateways, of which one receives it.

`--scale` multiplies the counts. A run ends after a few minutes: each step sends a fixed number of requests, and all of
them together have a limit of time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console

from pipeline.core.windows import BLOCK_BYTES, on_disk_bytes
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import own_cell
from tests.programs.bench.figures import Figure, percentile
from tests.programs.bench.redis_state import RedisState, redis_state
from tests.programs.bench.samples import PHOTO_BYTES, make_photo
from tests.programs.bench.scale_clients import Clients, clients_of, finish_steadily
from tests.programs.bench.scale_gateways import measure_gateways
from tests.programs.bench.usage import CpuMeter

PART = "scale"
WAITING: Final = 10_000
IN_FLIGHT: Final = 1_000
FINISHING_PER_MINUTE: Final = 200
_SAMPLED: Final = 50
_LONGEST_SECONDS: Final = 900.0
_ROOM_BYTES: Final = on_disk_bytes(PHOTO_BYTES) + BLOCK_BYTES
_NO_LIMIT: Final = 1_000_000
_SETTINGS: Final = {
    "owner_share": 1,
    "owner_uploads": _NO_LIMIT,
    "owner_waiting": _NO_LIMIT,
    "owner_creations_per_second": _NO_LIMIT,
    "owner_requests_per_second": _NO_LIMIT,
    "queue_uploads": _NO_LIMIT,
    "connections_per_address": 0,
    # Idle clients are not ended during the run.
    "first_segment_seconds": 7200,
    "lease_seconds": 7200,
}


def measure_scale(bed: Bed, console: Console, *, scale: float) -> list[Figure]:
    """Seconds per request without and with the queue, time to admission, Redis' bytes per upload by status, CPU time by
    process; then the cost with several gateways. Raises RuntimeError when a request fails."""
    waiting, in_flight = int(WAITING * scale), int(IN_FLIGHT * scale)
    finishing = max(5, int(FINISHING_PER_MINUTE * scale))
    console.print(f"{waiting:,} waiting, {in_flight:,} in flight, {FINISHING_PER_MINUTE} a minute finish")
    path = bed.directory / "photo.jpg"
    make_photo(bed.ffmpeg, path)
    budget_bytes = in_flight * _ROOM_BYTES
    with own_cell(bed, PART, temp_budget_bytes=budget_bytes, **_SETTINGS) as cell, redis_state(cell.settings) as state:
        run = _Run(bed, cell, state, console, finishing)
        figures = asyncio.run(run.all(path.read_bytes(), waiting, in_flight))
    with redis_state(cell.settings) as state:
        state.remove_all()
    return [*figures, *measure_gateways(bed, console, path.read_bytes(), scale=scale)]


class _Run:
    """One run in one cell."""

    def __init__(self, bed: Bed, cell: CellProcesses, state: RedisState, console: Console, finishing: int) -> None:
        self._bed, self._cell, self._state, self._console = bed, cell, state, console
        self._finishing = finishing
        self._figures: list[Figure] = []

    async def all(self, photo: bytes, waiting: int, in_flight: int) -> list[Figure]:
        async with asyncio.timeout(_LONGEST_SECONDS), clients_of(self._cell.processes.url, photo) as clients:
            await finish_steadily(clients, 3, _NO_LIMIT, None, [])  # code that is compiled when it first runs
            done = await self._steadily(clients, "without a queue", None, [])
            empty = self._p95("without a queue: POST")
            idle = await self._fill(clients, "admitted", in_flight)
            clients.open_streams(idle)
            queued = await self._fill(clients, "waiting", waiting)
            self._by_status({"admitted, idle": idle, "waiting": queued}, done)
            known = [upload["id"] for upload in (*idle, *queued)]
            sent = await self._steadily(clients, "with the queue", deque(known[:in_flight]), known[in_flight:])
            self._add("POST: p95 with the queue / without", "", [self._p95("with the queue: POST") / empty])
            self._admissions(sent, [upload["id"] for upload in queued])
        return self._figures

    async def _steadily(
        self, clients: Clients, name: str, ready_to_send: deque[str] | None, known: list[str]
    ) -> list[str]:
        """Requests at the rate of the run, with their times and the CPU time that they cost."""
        clients.samples.clear()
        meter, began = CpuMeter(self._processes()), time.monotonic()
        sent = await finish_steadily(clients, self._finishing, FINISHING_PER_MINUTE, ready_to_send, known)
        seconds = time.monotonic() - began
        for request, samples in clients.samples.items():
            self._add(f"{name}: {request}", "s", list(samples))
        for process, cpu_seconds in meter.read().items():
            self._add(f"{name}: CPU, {process}", "% of a core", [100 * cpu_seconds / seconds])
        return sent

    async def _fill(self, clients: Clients, status: str, count: int) -> list[dict[str, Any]]:
        """Create uploads that shall have this status. Raises RuntimeError when one has another."""
        before, began = self._state.used_bytes(), time.monotonic()
        created = await clients.create(count)
        seconds = time.monotonic() - began
        if wrong := [upload for upload in created if upload["status"] != status]:
            raise RuntimeError(f"{len(wrong)} of {count} uploads are not {status}: {wrong[0]}")
        self._add(f"{status}: created per second, 16 at once", "uploads/s", [count / seconds])
        growth = (self._state.used_bytes() - before) / count / 1024
        self._add(f"{status}: growth of Redis per upload", "KiB", [growth])
        return created

    def _by_status(self, uploads: dict[str, list[dict[str, Any]]], ready: Sequence[str]) -> None:
        ids = {status: [str(one["id"]) for one in found[:_SAMPLED]] for status, found in uploads.items()}
        ids["ready"] = list(ready[:_SAMPLED])
        sizes = self._state.key_bytes([upload_id for found in ids.values() for upload_id in found])
        for status, found in ids.items():
            own = [sizes[upload_id] / 1024 for upload_id in found]
            self._add(f"{status}: keys of one upload in Redis", "KiB", own)

    def _admissions(self, sent: Sequence[str], queued: Sequence[str]) -> None:
        """How long room is free before it is used: each release against the admission that follows it."""
        released = self._state.times(sent, "released_at_ms")
        admitted = self._state.times(queued, "admitted_at_ms")
        waits = [max(0, after - before) / 1000 for before, after in zip(released, admitted, strict=False)]
        if not waits:
            raise RuntimeError("no upload that waited was admitted, although others have ended")
        self._add("from released room to the admission of the next", "s", waits)

    def _processes(self) -> dict[str, list[int]]:
        servers = self._bed.by_process()
        own = {name: [pid] for name, pid in self._cell.processes.pids().items()}
        return {**own, "redis": servers["redis"], "postgres": servers["postgres"]}

    def _p95(self, name: str) -> float:
        return next(percentile(figure.samples, 95) for figure in self._figures if figure.name == name)

    def _add(self, name: str, unit: str, samples: Sequence[float]) -> None:
        figure = Figure(PART, name, unit, samples)
        self._figures.append(figure)
        p95 = f", p95 {percentile(samples, 95):.3g}" if len(samples) > 1 else ""
        self._console.print(f"  {name}: {figure.median:.3g}{p95} {unit}", highlight=False)
