"""Memory of the gateway while 50 clients download the whole large file through it at the same time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.usage import CpuMeter, forget_peak, peak_bytes, resident_bytes

PART = "downloads"
CLIENTS = 50
_MIB = 1024 * 1024


def measure_downloads(bed: Bed, console: Console, *, size_mib: int) -> list[Figure]:
    """Memory before and at the peak, duration, and CPU time, for `CLIENTS` concurrent downloads via the gateway."""
    console.print(f"{CLIENTS} downloads of {size_mib} MiB at once, through the gateway")
    sample = bed.directory / "download.mp4"
    make_large_video(bed.ffmpeg, sample, size_mib * _MIB)
    found = asyncio.run(_measure(bed, sample))
    console.print("  " + ", ".join(f"{name} {value:.0f} {unit}" for name, unit, value in found), highlight=False)
    return [Figure(PART, name, unit, [value]) for name, unit, value in found]


async def _measure(bed: Bed, sample: Path) -> list[tuple[str, str, float]]:
    size_bytes = sample.stat().st_size
    content_id = await _upload(bed, sample)
    pid = bed.gateway_pid
    before = resident_bytes(pid)
    forget_peak(pid)
    meter = CpuMeter(bed.groups())
    began = time.monotonic()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=120)
    ) as http:
        url = f"{bed.url}/v1/contents/{content_id}/download?via=gateway"
        lengths = await asyncio.gather(*(_download(http, url) for _ in range(CLIENTS)))
    seconds = time.monotonic() - began
    if set(lengths) != {size_bytes}:
        raise RuntimeError(f"downloads of a file of {size_bytes} bytes returned {sorted(set(lengths))} bytes")
    gib = CLIENTS * size_bytes / (1024 * _MIB)
    return [
        ("gateway: before", "MiB", before / _MIB),
        (f"gateway: peak with {CLIENTS} downloads", "MiB", peak_bytes(pid) / _MIB),
        (f"duration of {CLIENTS} downloads", "s", seconds),
        ("gateway CPU", "s/GiB", meter.read()["gateway"] / gib),
    ]


async def _upload(bed: Bed, sample: Path) -> str:
    async with SluiceClient(bed.url) as client:
        outcome = await Uploader(client, ResumeStates(bed.directory / "resume"), UploaderOptions(concurrency=8)).send(
            sample
        )
    if outcome.content is None:
        raise RuntimeError(f"the file to download ended as {outcome.view.status}")
    return outcome.content.id


async def _download(http: aiohttp.ClientSession, url: str) -> int:
    length = 0
    async with http.get(url) as response:
        response.raise_for_status()
        async for block in response.content.iter_any():
            length += len(block)
    return length
