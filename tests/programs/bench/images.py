"""A photo of 200 KB from POST to `ready`: one at a time, and eight at the same time; the CPU time per photo of each
process."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from pathlib import Path

from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.segment_body import SegmentBody
from deploy.cli.segment_file import SegmentFile
from schemas.uploads import CreateUpload, UploadView
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure, percentile
from tests.programs.bench.samples import make_photo
from tests.programs.bench.usage import CpuMeter

PART = "image"
AT_ONCE = 8
_SEQUENTIAL = 40
_PARALLEL = 160
_WARM_UP = 5


def measure_images(bed: Bed, console: Console, *, repeat: int) -> list[Figure]:
    """Of `repeat` rounds: the seconds that the client measures (event stream), those by the server's clock, photos per
    second, and CPU milliseconds per photo."""
    photo = bed.directory / "photo.jpg"
    make_photo(bed.ffmpeg, photo)
    console.print(f"Photos of {photo.stat().st_size / 1000:.0f} KB, {repeat} rounds")
    figures = asyncio.run(_measure(bed, photo, repeat))
    for figure in figures:
        p95 = f", p95 {percentile(figure.samples, 95):.3f}" if len(figure.samples) > 1 else ""
        console.print(f"  {figure.name}: {figure.median:.3f}{p95} {figure.unit}", highlight=False)
    return figures


async def _measure(bed: Bed, photo: Path, repeat: int) -> list[Figure]:
    samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    async with SluiceClient(bed.url, connections=2 * AT_ONCE) as client:
        for _ in range(_WARM_UP):
            await _send(client, photo)
        for _ in range(repeat):
            for name, count, at_once in (("one at a time", _SEQUENTIAL, 1), (f"{AT_ONCE} at once", _PARALLEL, AT_ONCE)):
                meter, began = CpuMeter(bed.by_process()), time.monotonic()
                times = await send_many(client, photo, count, at_once)
                seconds = time.monotonic() - began
                samples[f"{name}: POST to ready", "s"] += [by_client for by_client, _ in times]
                samples[f"{name}: by the server's clock", "s"] += [by_server for _, by_server in times]
                samples[f"{name}: rate", "images/s"].append(count / seconds)
                for process, cpu_seconds in meter.read().items():
                    samples[f"{name}: CPU per photo, {process}", "ms"].append(1000 * cpu_seconds / count)
    return [Figure(PART, name, unit, values) for (name, unit), values in samples.items()]


async def send_many(client: SluiceClient, photo: Path, count: int, at_once: int) -> list[tuple[float, float]]:
    """Send a photo `count` times; the figures of `_send` for each."""
    left = iter(range(count))
    samples: list[tuple[float, float]] = []

    async def send_some() -> None:
        samples.extend([await _send(client, photo) for _ in left])

    await asyncio.gather(*(send_some() for _ in range(at_once)))
    return samples


async def _send(client: SluiceClient, photo: Path) -> tuple[float, float]:
    """Seconds from POST to the `ready` event at the client, and from creation to `ready` by the server's clock."""
    with SegmentFile(photo) as file:
        size = file.stat.st_size
        began = time.monotonic()
        request = CreateUpload(filename="photo.jpg", size=size, content_type="image/jpeg")
        view = await client.create(request, str(uuid.uuid4()))
        digest = await file.digest_header(0, size, "crc32c")
        await client.put_segment(view, 1, size, lambda: SegmentBody(file, 0, size, lambda _: None), digest)
        last: UploadView = view
        async for last in client.watch(view.id):
            if last.status in ENDED:
                break
        seconds = time.monotonic() - began
    if last.status != "ready":
        raise RuntimeError(f"a photo ended as {last.status}: {last.error}")
    return seconds, (last.updated_at - last.created_at).total_seconds()
