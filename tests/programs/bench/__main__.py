"""`python -m tests.programs.bench`: measures, prints a table and writes build/bench.json."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.cli.run_directory import RunDirectory
from pipeline.telemetry import configure_logging
from tests.programs.bench import (
    abuse,
    downloads,
    early,
    images,
    media,
    memory,
    photos,
    throughput,
    tus_many,
    tus_stream,
    uploads,
    windows,
)
from tests.programs.bench.bed import Bed, open_bed
from tests.programs.bench.figures import Figure, figures_table
from tests.programs.bench.machine import machine_facts

_TABLE_COLUMNS = 110
PARTS = (throughput.PART, memory.PART, images.PART)
# Measured only on request: these take minutes.
ON_DEMAND = (
    downloads.PART,
    uploads.PART,
    photos.PART,
    media.PART,
    windows.PART,
    abuse.PART,
    tus_many.PART,
    tus_stream.PART,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    size_mib: int
    repeat: int
    concurrency: int
    photo_count: int
    tus_uploads: int
    scale: float
    baseline: Path | None


@click.command()
@click.option("--size-mib", default=1024, show_default=True, type=click.IntRange(1), help="Size of the large file.")
@click.option(
    "--repeat",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="How often the large file, or the set of photos, is uploaded with each program.",
)
@click.option(
    "--concurrency",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many segments `sluice upload` sends at once.",
)
@click.option(
    "--photos", "photo_count", default=100, show_default=True, type=click.IntRange(1), help="How many photos."
)
@click.option(
    "--tus-uploads", default=300, show_default=True, type=click.IntRange(1), help="How many uploads `tus-many` sends."
)
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.02, 1),
    help="Multiplies sizes and budgets of `windows`: 0.05 is enough to try it out.",
)
@click.option(
    "--baseline",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of another version, with its own .venv, whose photos `media` measures in turn with this one's.",
)
@click.option(
    "--only",
    type=click.Choice([*PARTS, *ON_DEMAND]),
    multiple=True,
    help="Measure only this part; may be repeated. Default: throughput, memory and image.",
)
@click.option(
    "--output",
    default=Path("build/bench.json"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the figures and their samples as JSON.",
)
def bench(only: tuple[str, ...], output: Path, **sizes: Any) -> None:
    """Measure the throughput, latency and memory of Sluice on this machine, with real servers on loopback.

    \b
    throughput  one large file: `sluice upload` and `swift upload` in turn
    memory      gateway memory with 200 segments in flight
    image       a 200 KB photo from POST to `ready`
    downloads   gateway memory with 50 downloads of the large file
    uploads     gateway memory with 50 uploads of the large file
    photos      photos per second: `sluice upload` and a plain HTTP client in turn
    media       bytes that metadata and thumbnail need of the large file, in Swift and in S3; photos beside --baseline
    windows     20 uploads of 512 MiB through 1 GiB and one of 4 GiB through 256 MiB, with windows and with whole files;
                when metadata of the large file is known during its upload; imports and direct uploads of it
    tus-many    300 tus uploads of 3 MB at once over two gateways on one port
    tus-stream  the large file in one PATCH: Sluice and @tus/server with its S3 store, into the same stores, in turn
    abuse       a photo and a video of an honest client until `ready`, alone and beside each abuse
    """
    measured = Sizes(**sizes)
    configure_logging("console", "warning")
    console = Console(soft_wrap=True)
    console.width = max(console.width, _TABLE_COLUMNS)
    home = RunDirectory.of_its_own(Path("build/bench"), keep=False)
    try:
        facts = machine_facts(home.path)
        console.print(", ".join(f"{name}: {fact}" for name, fact in facts.items()), highlight=False)
        with open_bed(home.path) as bed:
            figures = _measure(bed, console, only or PARTS, measured)
    finally:
        home.close()
    console.print()
    console.print(figures_table(figures), soft_wrap=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": facts,
        "size_mib": measured.size_mib,
        "repeat": measured.repeat,
        "concurrency": measured.concurrency,
        "scale": measured.scale,
        "figures": [figure.as_dict() for figure in figures],
    }
    output.write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"\nWritten to {output}", highlight=False)


def _measure(bed: Bed, console: Console, parts: tuple[str, ...], sizes: Sizes) -> list[Figure]:
    figures: list[Figure] = []
    if images.PART in parts:
        figures += images.measure_images(bed, console)
    if memory.PART in parts:
        figures += memory.measure_memory(bed, console)
    if photos.PART in parts:
        figures += photos.measure_photos(bed, console, count=sizes.photo_count, repeat=sizes.repeat)
    if media.PART in parts:
        figures += media.measure_media(
            bed,
            console,
            size_mib=sizes.size_mib,
            repeat=sizes.repeat,
            photo_count=sizes.photo_count,
            baseline=sizes.baseline,
        )
    if windows.PART in parts:
        figures += windows.measure_windows(bed, console, scale=sizes.scale)
        figures += early.measure_early(bed, console, size_mib=max(1, int(sizes.size_mib * sizes.scale)))
    if abuse.PART in parts:
        figures += abuse.measure_abuse(bed, console, repeat=sizes.repeat)
    if tus_many.PART in parts:
        figures += tus_many.measure_tus_many(bed, console, count=sizes.tus_uploads, repeat=sizes.repeat)
    if tus_stream.PART in parts:
        figures += tus_stream.measure_tus_stream(bed, console, size_mib=sizes.size_mib, repeat=sizes.repeat)
    if downloads.PART in parts:
        figures += downloads.measure_downloads(bed, console, size_mib=sizes.size_mib)
    if uploads.PART in parts:
        figures += uploads.measure_uploads(bed, console, size_mib=sizes.size_mib)
    if throughput.PART in parts:
        figures += throughput.measure_throughput(
            bed, console, size_mib=sizes.size_mib, repeat=sizes.repeat, concurrency=sizes.concurrency
        )
    return figures


if __name__ == "__main__":
    bench()
