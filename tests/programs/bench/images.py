"""A photo of 200 KB from POST to `ready`: one at a time, and eight at the same time."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.segment_file import SegmentFile
from schemas.uploads import CreateUpload, UploadView
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure, percentile
from tests.programs.bench.samples import make_photo

PART = "image"
AT_ONCE = 8
_SEQUENTIAL = 40
_PARALLEL = 160
_WARM_UP = 5


def measure_images(bed: Bed, console: Console) -> list[Figure]:
    """The seconds that the client measures (event stream), and those by the server's clock."""
    photo = bed.directory / "photo.jpg"
    make_photo(bed.ffmpeg, photo)
    console.print(f"Photos of {photo.stat().st_size / 1000:.0f} KB")
    figures = asyncio.run(_measure(bed.url, photo))
    for figure in figures:
        p95 = f", p95 {percentile(figure.samples, 95):.3f}" if len(figure.samples) > 1 else ""
        console.print(f"  {figure.name}: {figure.median:.3f}{p95} {figure.unit}", highlight=False)
    return figures


async def _measure(url: str, photo: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with SluiceClient(url, connections=2 * AT_ONCE) as client:
        for _ in range(_WARM_UP):
            await _send(client, photo)
        for name, count, at_once in (("one at a time", _SEQUENTIAL, 1), (f"{AT_ONCE} at once", _PARALLEL, AT_ONCE)):
            began = time.monotonic()
            samples = await send_many(client, photo, count, at_once)
            seconds = time.monotonic() - began
            figures.append(Figure(PART, f"{name}: POST to ready", "s", [by_client for by_client, _ in samples]))
            figures.append(Figure(PART, f"{name}: by the server's clock", "s", [by_server for _, by_server in samples]))
            figures.append(Figure(PART, f"{name}: rate", "images/s", [count / seconds]))
    return figures


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
        digest = await file.digest_header(0, size, "sha-256")
        await client.put_segment(view, 1, size, lambda: file.blocks(0, size, lambda _: None), digest)
        last: UploadView = view
        async for last in client.watch(view.id):
            if last.status in ENDED:
                break
        seconds = time.monotonic() - began
    if last.status != "ready":
        raise RuntimeError(f"a photo ended as {last.status}: {last.error}")
    return seconds, (last.updated_at - last.created_at).total_seconds()
