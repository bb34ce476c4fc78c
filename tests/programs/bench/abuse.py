"""How long an honest client waits for `ready` while another owner abuses the gateway: the median of its times beside
each abuse, and the ratio to its median alone. The goal is a ratio of 2 or less.

Settings are the defaults, except for authentication and a budget that an abuse can fill.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack

from rich.console import Console

from pipeline.core.access import Scope
from tests.harness.abuse import (
    Abuse,
    abuser,
    created_and_cancelled,
    event_streams,
    honest,
    idle_sockets,
    imports,
    posts,
    slow_downloads,
    slow_loris,
    stalled_bodies,
    whole_budget,
)
from tests.harness.cell import Cell
from tests.harness.keys import WITH_KEYS, as_caller, bearer, make_key
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, own_cell
from tests.programs.bench.figures import Figure

PART = "abuse"
_BUDGET_BYTES = 512 * MIB
_VIDEO_BYTES = 24 * MIB
_IMPORT_BYTES = 200 * MIB
_IMPORTED = "raw/large.mkv"


def measure_abuse(bed: Bed, console: Console, *, repeat: int) -> list[Figure]:
    """Seconds alone and beside each abuse, and the ratios."""
    console.print(f"an upload of {_VIDEO_BYTES // MIB} MiB by an honest client, alone and beside each abuse")
    with own_cell(bed, PART, **WITH_KEYS, temp_budget_bytes=_BUDGET_BYTES) as started:
        return asyncio.run(_measure(started, console, repeat))


async def _measure(started: CellProcesses, console: Console, repeat: int) -> list[Figure]:
    data = long_video(_VIDEO_BYTES)
    async with AsyncExitStack() as exits:
        cell = await exits.enter_async_context(started.connected())
        alice = await exits.enter_async_context(as_caller(cell, "alice"))
        mallory = await exits.enter_async_context(abuser(cell))
        await honest(alice, data)  # pools and caches are warm
        alone = [await honest(alice, data) for _ in range(max(3, repeat))]
        figures = [Figure(PART, "alone", "s", alone)]
        for name, abuse in (await _abuses(cell, data)).items():
            async with abuse(mallory) as counted:
                times = [await honest(alice, data, 600) for _ in range(repeat)]
            ratio = statistics.median(times) / statistics.median(alone)
            seen = ", ".join(f"{code} {count}" for code, count in sorted(counted.responses.items()))
            console.print(f"  {name}: {statistics.median(times):.2f} s, ratio {ratio:.2f} ({seen})", highlight=False)
            figures += [Figure(PART, name, "s", times), Figure(PART, f"{name}: ratio", "", [ratio])]
            await _cancel(mallory, counted.uploads)
        return figures


async def _abuses(cell: Cell, data: bytes) -> Mapping[str, Abuse]:
    _, key = await make_key(cell.settings, "operator", *Scope)
    await cell.store.put_object(_IMPORTED, long_video(_IMPORT_BYTES), "video/matroska")

    async def content(mallory: Cell) -> str:
        return str((await mallory.upload(data, filename="large.mkv", content_type="video/matroska"))["id"])

    return {
        "an upload of the whole budget and 65 small ones": whole_budget(65),
        "1,000 uploads that wait": posts(1000, size=_BUDGET_BYTES // 4),
        "6,000 POSTs": posts(6000, size=_BUDGET_BYTES // 4),
        "500 cancelled uploads with 15 KB of metadata": created_and_cancelled(
            500, metadata={f"k{number:02}": "x" * 1000 for number in range(15)}
        ),
        "1,000 idle sockets": idle_sockets(1000),
        "200 heads that never end": slow_loris(200),
        "200 stalled bodies": stalled_bodies(200),
        "2,000 event streams": event_streams(2000),
        "256 slow downloads": slow_downloads(256, content),
        "16 clients that import a large object": imports([_IMPORTED], bearer(key), 16),
    }


async def _cancel(cell: Cell, uploads: list[str]) -> None:
    for upload_id in uploads:
        await cell.call("DELETE", f"/v1/uploads/{upload_id}")
