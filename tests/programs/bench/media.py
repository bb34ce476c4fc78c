"""What the media reader reads and costs.

A long video in the object store, with its index in different places: the bytes and ranges that metadata and thumbnail
need, and the time. Photos, eight at once: their rate and the CPU time for each, of this version and of another one in
the same run.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from pipeline.core.stored_objects import object_key
from pipeline.ports import ByteSource, MediaReader
from tests.harness.running import CellProcesses
from tests.programs.bench.baseline import Baseline, open_baseline
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.images import AT_ONCE, send_many
from tests.programs.bench.reading import stored_source, worker_reader
from tests.programs.bench.samples import LAYOUTS, index_bytes, make_long_video, make_photo
from tests.programs.bench.usage import CpuMeter

PART = "media"
_WARM_UP = 5
_LIMIT_BYTES = 2 * MIB


def measure_media(
    bed: Bed, console: Console, *, size_mib: int, repeat: int, photo_count: int, baseline: Path | None
) -> list[Figure]:
    """Bytes, ranges and seconds for each layout and store; photos per second and CPU per photo."""
    figures: list[Figure] = []
    samples: dict[str, Path] = {}
    for layout, suffix in zip(LAYOUTS, ("first.mp4", "last.mp4", "mkv"), strict=True):
        samples[layout] = bed.directory / f"long.{suffix}"
        make_long_video(bed.ffmpeg, samples[layout], size_mib * MIB, layout)
    for store in ("swift", "s3"):
        with own_cell(bed, f"media-{store}", store=store) as cell:
            for layout, sample in samples.items():
                figures += asyncio.run(_measure_reads(cell, sample, f"{store}, {layout}", bed, console, repeat))
    for sample in samples.values():
        sample.unlink()
    if baseline is None:
        return [*figures, *_measure_photos(bed, console, photo_count, repeat, None)]
    with open_baseline(baseline, bed.directory / "baseline") as other:
        return [*figures, *_measure_photos(bed, console, photo_count, repeat, other)]


@dataclass
class CountingSource:
    """Passes reads on to `source`, and counts them."""

    source: ByteSource
    ranges: int = field(default=0, init=False)
    read_bytes: int = field(default=0, init=False)

    @property
    def size_bytes(self) -> int:
        return self.source.size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        self.ranges += 1
        self.read_bytes += length
        return await self.source.read(offset, length)


async def _measure_reads(
    cell: CellProcesses, sample: Path, name: str, bed: Bed, console: Console, repeat: int
) -> list[Figure]:
    content_id = await _upload(cell, sample, bed.directory / "resume")
    index = index_bytes(sample)
    read_bytes, ranges, seconds = [], [], []
    async with worker_reader(cell.settings) as reader:
        for _ in range(repeat):
            async with stored_source(cell.settings, object_key(content_id), sample.stat().st_size) as source:
                counted = CountingSource(source)
                began = time.monotonic()
                await _read_all(reader, counted)
                seconds.append(time.monotonic() - began)
                read_bytes.append(counted.read_bytes)
                ranges.append(counted.ranges)
    beyond = max(read_bytes) - index
    verdict = "within" if beyond <= _LIMIT_BYTES else "ABOVE"
    console.print(
        f"  {name}: index {index / 1000:.0f} KB, read {max(read_bytes) / 1000:.0f} KB in {max(ranges)} ranges,"
        f" {min(seconds):.2f} s; {verdict} 2 MiB beside the index",
        highlight=False,
    )
    return [
        Figure(PART, f"{name}: index", "KiB", [index / 1024]),
        Figure(PART, f"{name}: read", "KiB", [count / 1024 for count in read_bytes]),
        Figure(PART, f"{name}: ranges", "", ranges),
        Figure(PART, f"{name}: metadata and thumbnail", "s", seconds),
    ]


async def _read_all(reader: MediaReader, source: ByteSource) -> None:
    reading = await reader.read(source)
    frame = reading.frame or await reader.thumbnail(source, reading.metadata)
    if frame.jpeg is None:
        raise RuntimeError("the video has no thumbnail")


async def _upload(cell: CellProcesses, sample: Path, states: Path) -> str:
    async with SluiceClient(cell.processes.url) as client:
        outcome = await Uploader(client, ResumeStates(states), UploaderOptions()).send(sample)
    if outcome.view.content_id is None:
        raise RuntimeError(f"{sample.name} ended as {outcome.view.status}: {outcome.view.error}")
    return outcome.view.content_id


def _measure_photos(bed: Bed, console: Console, count: int, repeat: int, other: Baseline | None) -> list[Figure]:
    photo = bed.directory / "photo.jpg"
    make_photo(bed.ffmpeg, photo)
    versions = {"this version": (bed.url, bed.groups())}
    if other is not None:
        versions["baseline"] = (other.url, {name: list(pids) for name, pids in other.groups.items()})
    console.print(f"{count} photos of {photo.stat().st_size / 1000:.0f} KB, {AT_ONCE} at once, {repeat} rounds")
    rates: dict[str, list[float]] = {name: [] for name in versions}
    cpu: dict[str, list[float]] = {name: [] for name in versions}
    for url, _ in versions.values():
        asyncio.run(_send_photos(url, photo, _WARM_UP))
    for number in range(repeat):
        # Each goes first in every other round, so that neither always profits from the other's pause.
        for name in sorted(versions, reverse=number % 2 == 1):
            url, groups = versions[name]
            meter, began = CpuMeter(groups), time.monotonic()
            asyncio.run(_send_photos(url, photo, count))
            rates[name].append(count / (time.monotonic() - began))
            used = meter.read()
            cpu[name].append(1000 * (used["gateway"] + used["workers"]) / count)
            console.print(f"  {name}: {rates[name][-1]:.1f} photos/s, {cpu[name][-1]:.0f} ms of CPU", highlight=False)
    figures = [Figure(PART, f"photos, {AT_ONCE} at once, {name}: rate", "photos/s", rates[name]) for name in versions]
    if other is not None:
        ratios = [ours / theirs for ours, theirs in zip(rates["this version"], rates["baseline"], strict=True)]
        figures.append(Figure(PART, f"photos, {AT_ONCE} at once: this version / baseline", "", ratios))
    return [
        *figures,
        *(Figure(PART, f"photos, {name}: CPU of gateway and workers per photo", "ms", cpu[name]) for name in versions),
    ]


async def _send_photos(url: str, photo: Path, count: int) -> None:
    async with SluiceClient(url, connections=2 * AT_ONCE) as client:
        await send_many(client, photo, count, AT_ONCE)
