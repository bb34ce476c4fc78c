"""Uploads that are larger than the temp volume, or many of them: with windows, and with whole files.

Every content is downloaded afterwards and compared with the file, outside of the measured time.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, VolumeWatch, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video

PART = "windows"
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Load:
    """So many uploads of so many MiB, at once, and the budget (MiB) with windows and with whole files."""

    name: str
    uploads: int
    size_mib: int
    budget_mib: int
    whole_budget_mib: int


_LOADS = (
    _Load("20 uploads of 512 MiB", 20, 512, 1024, 1024),
    # Whole, it needs a disk that is larger than itself.
    _Load("1 upload of 4 GiB", 1, 4096, 256, 4096),
)


def measure_windows(bed: Bed, console: Console, *, scale: float) -> list[Figure]:
    """Wall time, highest reservation and highest use of the disk for each load, with windows and with whole files.
    `scale` multiplies sizes, budgets and segments."""
    figures: list[Figure] = []
    for load in _LOADS:
        sample = bed.directory / "window.mp4"
        make_large_video(bed.ffmpeg, sample, int(load.size_mib * scale) * MIB)
        for mode, share, budget_mib in (
            ("windows", 0.25, load.budget_mib),
            ("whole files", 1.0, load.whole_budget_mib),
        ):
            budget = int(budget_mib * scale) * MIB
            settings: Mapping[str, int | float] = {
                "temp_share": share,
                "temp_budget_bytes": budget,
                "segment_bytes": max(256 * 1024, int(10 * MIB * scale)),
            }
            name = f"{load.name}, {mode}"
            with own_cell(bed, f"{mode}-{load.uploads}".replace(" ", "-"), **settings) as cell:
                figures += _measure(bed, cell, sample, load.uploads, name, budget, console)
        sample.unlink()
    return figures


def _measure(
    bed: Bed, cell: CellProcesses, sample: Path, uploads: int, name: str, budget: int, console: Console
) -> list[Figure]:
    began = time.monotonic()
    with VolumeWatch(cell) as watch:
        contents = asyncio.run(_upload_all(bed, cell, sample, uploads, name))
        seconds = time.monotonic() - began
    asyncio.run(_compare(cell.processes.url, contents, sample))
    used, reserved = watch.highest_used_bytes, watch.highest_reserved_bytes
    console.print(
        f"  {name}: {seconds:.1f} s; of a budget of {budget / MIB:.0f} MiB at most {reserved / MIB:.0f} MiB reserved"
        f" and {used / MIB:.0f} MiB on the disk in {watch.samples} samples; every byte equal",
        highlight=False,
    )
    if max(used, reserved) > budget:
        raise RuntimeError(f"{name}: the budget of {budget} bytes was exceeded: {reserved} reserved, {used} used")
    return [
        Figure(PART, f"{name}: until all are ready", "s", [seconds]),
        Figure(PART, f"{name}: budget", "MiB", [budget / MIB]),
        Figure(PART, f"{name}: highest reservation", "MiB", [reserved / MIB]),
        Figure(PART, f"{name}: highest use of the disk", "MiB", [used / MIB]),
    ]


async def _upload_all(bed: Bed, cell: CellProcesses, sample: Path, uploads: int, name: str) -> list[str]:
    """The ids of the contents. Each upload has a client of its own with two segments at once."""

    async def one(number: int) -> str:
        states = ResumeStates(bed.directory / "resume" / name / str(number))
        options = UploaderOptions(concurrency=4 if uploads == 1 else 2)
        async with SluiceClient(cell.processes.url) as client:
            view = (await Uploader(client, states, options).send(sample)).view
        if view.content_id is None:
            raise RuntimeError(f"an upload ended as {view.status}: {view.error}")
        return view.content_id

    return await asyncio.gather(*map(one, range(uploads)))


async def _compare(url: str, contents: list[str], sample: Path) -> None:
    """Raises RuntimeError when a content has other bytes than the file."""
    with sample.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").digest()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=120)) as http:
        for content in contents:
            found = hashlib.sha256()
            async with http.get(f"{url}/v1/contents/{content}/download?via=gateway") as response:
                response.raise_for_status()
                async for block in response.content.iter_chunked(_BLOCK_BYTES):
                    found.update(block)
            if found.digest() != expected:
                raise RuntimeError(f"content {content} has other bytes than the file")
