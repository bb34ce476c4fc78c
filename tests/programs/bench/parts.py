"""The parts of the benchmark: a table of what can be measured, in the order in which it is measured.

A new part is one entry here; the goals of its figures are in `goals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.programs.bench import (
    abuse,
    downloads,
    early,
    images,
    media,
    memory,
    parallel,
    photos,
    plan,
    processes,
    redis_work,
    scale,
    throughput,
    throughput_s3,
    tus_many,
    tus_stream,
    uploads,
    videos,
    windows,
)
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure


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
    constants: Path | None


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its paragraph in `--help`, and what measures it. `on_demand`: only where `--only` names it."""

    summary: str
    measure: Callable[[Bed, Console, Sizes], list[Figure]]
    on_demand: bool = False


def _windows(bed: Bed, console: Console, sizes: Sizes) -> list[Figure]:
    return [
        *windows.measure_windows(bed, console, scale=sizes.scale),
        *early.measure_early(bed, console, size_mib=max(1, int(sizes.size_mib * sizes.scale))),
    ]


PARTS: Final[Mapping[str, Part]] = {
    images.PART: Part(
        "a 200 KB photo from POST to `ready`, and the CPU time per photo of each process",
        lambda bed, console, sizes: images.measure_images(bed, console, repeat=sizes.repeat),
    ),
    memory.PART: Part(
        "gateway memory with 200 segments in flight, and with 200 and 1,000 that stop after 3 MiB",
        lambda bed, console, sizes: memory.measure_memory(bed, console),
    ),
    photos.PART: Part(
        "photos per second: `sluice upload` and a plain HTTP client in turn",
        lambda bed, console, sizes: photos.measure_photos(bed, console, count=sizes.photo_count, repeat=sizes.repeat),
        on_demand=True,
    ),
    videos.PART: Part(
        "videos of 16 MiB, 16 at once, and the CPU time per video of each process",
        lambda bed, console, sizes: videos.measure_videos(bed, console, repeat=sizes.repeat),
    ),
    processes.PART: Part(
        "the import of a worker process, and its memory when it is idle",
        lambda bed, console, sizes: processes.measure_processes(bed, console, repeat=sizes.repeat),
    ),
    redis_work.PART: Part(
        "commands, scripts and time in Redis of a photo and of a video of 16 MiB",
        lambda bed, console, sizes: redis_work.measure_redis(bed, console),
    ),
    media.PART: Part(
        "bytes that metadata and thumbnail need of the large file, in Swift and in S3; photos beside --baseline",
        lambda bed, console, sizes: media.measure_media(
            bed,
            console,
            size_mib=sizes.size_mib,
            repeat=sizes.repeat,
            photo_count=sizes.photo_count,
            baseline=sizes.baseline,
        ),
        on_demand=True,
    ),
    windows.PART: Part(
        "20 uploads of 512 MiB through 1 GiB and one of 4 GiB through 256 MiB, with windows and with whole files; "
        "when metadata of the large file is known during its upload; imports and direct uploads of it",
        _windows,
        on_demand=True,
    ),
    parallel.PART: Part(
        "segments 16 at once against one at a time, into a Swift whose responses come 100 ms late; plain PUTs too",
        lambda bed, console, sizes: parallel.measure_parallel(bed, console, repeat=sizes.repeat),
        on_demand=True,
    ),
    abuse.PART: Part(
        "a photo and a video of an honest client until `ready`, alone and beside each abuse",
        lambda bed, console, sizes: abuse.measure_abuse(bed, console, repeat=sizes.repeat),
        on_demand=True,
    ),
    tus_many.PART: Part(
        "300 tus uploads of 3 MB at once over two gateways on one port",
        lambda bed, console, sizes: tus_many.measure_tus_many(
            bed, console, count=sizes.tus_uploads, repeat=sizes.repeat
        ),
        on_demand=True,
    ),
    tus_stream.PART: Part(
        "the large file in one PATCH: Sluice and @tus/server with its S3 store, into the same stores, in turn",
        lambda bed, console, sizes: tus_stream.measure_tus_stream(
            bed, console, size_mib=sizes.size_mib, repeat=sizes.repeat
        ),
        on_demand=True,
    ),
    downloads.PART: Part(
        "gateway memory with 50 downloads of the large file",
        lambda bed, console, sizes: downloads.measure_downloads(bed, console, size_mib=sizes.size_mib),
        on_demand=True,
    ),
    uploads.PART: Part(
        "gateway memory with 50 uploads of the large file",
        lambda bed, console, sizes: uploads.measure_uploads(bed, console, size_mib=sizes.size_mib),
        on_demand=True,
    ),
    throughput.PART: Part(
        "the large file into Swift: `sluice upload` with and without the client's MD5, `swift upload` and plain PUTs",
        lambda bed, console, sizes: throughput.measure_throughput(
            bed, console, size_mib=sizes.size_mib, repeat=sizes.repeat, concurrency=sizes.concurrency
        ),
    ),
    throughput_s3.PART: Part(
        "the large file into Ceph: `sluice upload`, and a tus client through @tus/server with its S3 store",
        lambda bed, console, sizes: throughput_s3.measure_throughput_s3(
            bed, console, size_mib=sizes.size_mib, repeat=sizes.repeat, concurrency=sizes.concurrency
        ),
    ),
    scale.PART: Part(
        "requests, admission, memory of Redis and CPU time with 10,000 uploads that wait, 1,000 in flight and 200 a "
        "minute that finish; the cost of an upload with 1, 4 and 16 gateways",
        lambda bed, console, sizes: scale.measure_scale(bed, console, scale=sizes.scale),
    ),
    plan.PART: Part(
        "the constants of `sluice plan`, and what it predicts for a load beside a real run of that load",
        lambda bed, console, sizes: plan.measure_plan(bed, console, scale=sizes.scale, constants_file=sizes.constants),
    ),
}


def part_lines() -> list[tuple[str, str]]:
    """Name and summary of each part, for `--help`."""
    return [(name, f"{part.summary}{' (on request)' * part.on_demand}") for name, part in PARTS.items()]


def default_parts() -> list[str]:
    """The parts that are measured when `--only` names none."""
    return [name for name, part in PARTS.items() if not part.on_demand]
