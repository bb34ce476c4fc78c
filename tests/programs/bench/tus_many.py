"""Many tus uploads at once over two gateways that share a port: until all are `ready`, what their client repeated by
itself, and the memory of each gateway.

Once with the budget of the defaults, and once with one that holds few of the files, so that most uploads wait. Every
content is compared with its file afterwards, outside of the measured time.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from schemas.uploads import UploadView
from tests.harness.running import CellProcesses
from tests.harness.shared_port import SharedPort
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, cell_groups, own_cell, wait_until_empty
from tests.programs.bench.figures import Figure, percentile
from tests.programs.bench.samples import make_films
from tests.programs.bench.tus_senders import Sender, Sent, best_sender, repeated
from tests.programs.bench.usage import CpuMeter, forget_peak, peak_bytes, resident_bytes

PART = "tus-many"
FILM_BYTES: Final = 3_000_000
_BUDGETS: Final[Mapping[str, Mapping[str, int]]] = {
    "all fit": {},
    "64 MiB fit": {"temp_budget_bytes": 64 * MIB},
}
_WARM_UP: Final = 10
_POLL_SECONDS: Final = 0.1
# Far more than a slow machine needs: an upload that is not ready by then has been lost.
_LONGEST_SECONDS: Final = 900


def measure_tus_many(bed: Bed, console: Console, *, count: int, repeat: int) -> list[Figure]:
    """Figures for each budget, of `repeat` rounds in the same processes. Raises RuntimeError when an upload does not
    become `ready`, when the client gives one up, or when a content has other bytes than its file."""
    sender = best_sender()
    console.print(f"{count} tus uploads of {FILM_BYTES / 1e6:.0f} MB at once, two gateways, client: {sender.name}")
    films = make_films(bed.ffmpeg, bed.directory / "films", count, FILM_BYTES)
    figures: list[Figure] = []
    for name, budget in _BUDGETS.items():
        with own_cell(bed, f"many-{len(figures)}", SharedPort, reuse_port="true", **budget) as cell:
            _round(cell, sender, films[:_WARM_UP])
            rounds = [_round(cell, sender, films) for _ in range(repeat)]
        for measured in rounds:
            text = ", ".join(f"{key} {values[0]:.4g}" for key, values in measured.items() if len(values) == 1)
            console.print(f"  {name}: {text}", highlight=False)
        figures += [
            Figure(PART, f"{name}: {key}", _unit(key), [value for one in rounds for value in one.get(key, [0.0])])
            for key in dict.fromkeys(key for one in rounds for key in one)
        ]
    return figures


def _round(cell: CellProcesses, sender: Sender, films: Sequence[Path]) -> dict[str, list[float]]:
    """Send every film once. Every value is a list: of one, or of one per upload."""
    groups = cell_groups(cell)
    gateways = groups["gateway"]
    before = [resident_bytes(pid) for pid in gateways]
    for pid in gateways:
        forget_peak(pid)
    meter, singles = CpuMeter(groups), [CpuMeter({"gateway": [pid]}) for pid in gateways]
    sent, client_cpu = sender.send(f"{cell.processes.url}/files/", films)
    views = asyncio.run(_ended_views(cell.processes.url, sent))
    cpu, peak = meter.read(), [peak_bytes(pid) for pid in gateways]
    cpu_of_each = [single.read()["gateway"] for single in singles]
    if wrong := [(view.id, view.status, view.error) for view in views if view.status != "ready"]:
        raise RuntimeError(f"{len(wrong)} of {len(views)} uploads are not ready: {wrong[:5]}")
    wait_until_empty(cell)
    after = [resident_bytes(pid) for pid in gateways]
    asyncio.run(_compare(cell.processes.url, sent))
    seconds = post_to_ready(sent, views)
    first = min(one.began for one in sent)
    values = {
        "ready": float(len(views)),
        "first POST to all ready": max(view.updated_at.timestamp() for view in views) - first,
        "POST to ready, p50": percentile(seconds, 50),
        "POST to ready, p95": percentile(seconds, 95),
        "requests repeated by the client": float(sum(repeated(sent).values())),
        **{f"repeated after {status}": float(times) for status, times in repeated(sent).items()},
        "uploads created": float(sum(one.statuses.count(201) for one in sent)),
        "gateways: CPU": cpu["gateway"],
        "workers: CPU": cpu["workers"],
        "client: CPU": client_cpu,
    }
    for number, pid_figures in enumerate(zip(before, peak, after, cpu_of_each, strict=True), 1):
        start, most, end, own_cpu = pid_figures
        values |= {
            f"gateway {number}: memory before": start / MIB,
            f"gateway {number}: memory at the peak": most / MIB,
            f"gateway {number}: memory after": end / MIB,
            f"gateway {number}: peak - before": (most - start) / MIB,
            f"gateway {number}: CPU": own_cpu,
        }
    return {key: [value] for key, value in values.items()}


def post_to_ready(sent: Sequence[Sent], views: Sequence[UploadView]) -> list[float]:
    """Seconds from each client's first request to `ready`, by the clock of this machine."""
    ready = {view.id: view.updated_at.timestamp() for view in views}
    return [ready[one.upload_id] - one.began for one in sent]


async def _ended_views(url: str, sent: Sequence[Sent]) -> list[UploadView]:
    """Every upload once it has ended. Raises RuntimeError when one does not end."""
    views = []
    deadline = time.monotonic() + _LONGEST_SECONDS
    async with SluiceClient(url) as client:
        for one in sent:
            while (view := await client.upload(one.upload_id)).status not in ENDED:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"upload {view.id} has not ended: {view.model_dump_json()}")
                await asyncio.sleep(_POLL_SECONDS)
            views.append(view)
    return views


async def _compare(url: str, sent: Sequence[Sent]) -> None:
    """Raises RuntimeError when a content has other bytes than its file."""
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        for one in sent:
            digest = hashlib.sha256()
            async with http.get(f"{url}/v1/contents/{one.upload_id}/download?via=gateway") as response:
                async for block in response.content.iter_any():
                    digest.update(block)
            if digest.digest() != hashlib.sha256(one.file.read_bytes()).digest():
                raise RuntimeError(f"content {one.upload_id} has other bytes than {one.file.name}")


def _unit(name: str) -> str:
    if "memory" in name or name.endswith("peak - before"):
        return "MiB"
    if name.endswith("CPU"):
        return "CPU s"
    return "s" if "POST" in name else ""
