"""Uploads that are larger than the temp volume, or many of them: with windows, and with whole files.

Every content is compared with the file afterwards, outside of the measured time.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.upload_progress import Outcome
from deploy.cli.uploader import Uploader, UploaderOptions
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, VolumeWatch, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video

PART = "windows"


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
        outcomes = asyncio.run(_upload_all(bed, cell, sample, uploads, name))
        seconds = time.monotonic() - began
    _compare(outcomes, sample)
    used, reserved = watch.highest_used_bytes, watch.highest_reserved_bytes
    console.print(
        f"  {name}: {seconds:.1f} s; of a budget of {budget / MIB:.0f} MiB at most {reserved / MIB:.0f} MiB reserved"
        f" and {used / MIB:.0f} MiB on the disk in {watch.samples} samples; every byte equal",
        highlight=False,
    )
    if reserved > budget or used > budget:
        raise RuntimeError(f"{name}: the budget of {budget} bytes was exceeded: {reserved} reserved, {used} used")
    return [
        Figure(PART, f"{name}: until all are ready", "s", [seconds]),
        Figure(PART, f"{name}: budget", "MiB", [budget / MIB]),
        Figure(PART, f"{name}: highest reservation", "MiB", [reserved / MIB]),
        Figure(PART, f"{name}: highest use of the disk", "MiB", [used / MIB]),
    ]


async def _upload_all(bed: Bed, cell: CellProcesses, sample: Path, uploads: int, name: str) -> list[Outcome]:
    """Each upload has a client of its own; of many, each sends two segments at once."""

    async def one(number: int) -> Outcome:
        states = ResumeStates(bed.directory / "resume" / name / str(number))
        options = UploaderOptions(concurrency=4 if uploads == 1 else 2)
        async with SluiceClient(cell.processes.url) as client:
            return await Uploader(client, states, options).send(sample)

    return await asyncio.gather(*map(one, range(uploads)))


def _compare(outcomes: Sequence[Outcome], sample: Path) -> None:
    """Raises RuntimeError when the store has other bytes than the file: the ETag of a manifest of Swift is the MD5 of
    the MD5s of its segments, which Swift has computed from what it received."""
    expected: dict[int, str] = {}
    for outcome in outcomes:
        view, content = outcome.view, outcome.content
        if content is None:
            raise RuntimeError(f"an upload ended as {view.status}: {view.error}")
        if view.segment_size not in expected:
            expected[view.segment_size] = _manifest_etag(sample, view.segment_size)
        if content.object.etag != expected[view.segment_size]:
            raise RuntimeError(f"content {content.id} has other bytes than the file")


def _manifest_etag(sample: Path, segment_bytes: int) -> str:
    digests = ""
    with sample.open("rb") as file:
        while segment := file.read(segment_bytes):
            digests += hashlib.md5(segment, usedforsecurity=False).hexdigest()
    return hashlib.md5(digests.encode(), usedforsecurity=False).hexdigest()
