"""100 photos: `sluice upload` and a plain HTTP client that makes the same calls, in turn, with equally many uploads in
flight.

The plain client is a few lines of aiohttp: POST, PUT, GET until the upload is `ready`, GET of the content. It computes
no digest, keeps no state for a later run and shows no progress. `sluice upload` is measured as a whole command, with
the time that Python needs to start.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from deploy.cli.processes import import_path
from deploy.cli.uploader import UploaderOptions
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_photo
from tests.programs.bench.usage import CpuMeter

PART = "photos"
_AT_ONCE = UploaderOptions().files_at_once
_WARM_UP = 10
_POLL_SECONDS = 0.2


def measure_photos(bed: Bed, console: Console, *, count: int, repeat: int) -> list[Figure]:
    """Photos per second and CPU seconds of the gateway per photo, of both clients; medians of `repeat` rounds."""
    console.print(f"{count} photos, {_AT_ONCE} uploads in flight, {repeat} rounds with each client")
    photos = list(_copies(bed, count))
    clients: dict[str, Callable[[], None]] = {
        "plain client": lambda: asyncio.run(_send_plainly(bed.url, photos)),
        "sluice upload": lambda: _send_with_command(bed, photos),
    }
    asyncio.run(_send_plainly(bed.url, photos[:_WARM_UP]))
    rates: dict[str, list[float]] = {name: [] for name in clients}
    cpu: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(repeat):
        # Each goes first in every other round, so that neither always profits from the other's pause.
        for name in sorted(clients, reverse=number % 2 == 1):
            meter, began = CpuMeter(bed.groups()), time.monotonic()
            clients[name]()
            rates[name].append(count / (time.monotonic() - began))
            cpu[name].append(1000 * meter.read()["gateway"] / count)
            console.print(f"  {name}: {rates[name][-1]:.1f} photos/s", highlight=False)
    ratios = [ours / plain for ours, plain in zip(rates["sluice upload"], rates["plain client"], strict=True)]
    return [
        *(Figure(PART, f"{name}: rate", "photos/s", rates[name]) for name in clients),
        Figure(PART, "sluice upload / plain client: rate", "", ratios),
        *(Figure(PART, f"{name}: gateway CPU per photo", "ms", cpu[name]) for name in clients),
    ]


def _copies(bed: Bed, count: int) -> Iterator[Path]:
    photo = bed.directory / "photo.jpg"
    make_photo(bed.ffmpeg, photo)
    for number in range(count):
        copy = bed.directory / f"photo-{number:03}.jpg"
        copy.write_bytes(photo.read_bytes())
        yield copy


def _send_with_command(bed: Bed, photos: Sequence[Path]) -> None:
    environment = {**os.environ, "PYTHONPATH": import_path(), "XDG_STATE_HOME": str(bed.directory / "resume")}
    command = [sys.executable, "-m", "deploy.cli", "upload", "--server", bed.url, *map(str, photos)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"`sluice upload` failed: {ran.stderr[-1000:]}")


async def _send_plainly(url: str, photos: Sequence[Path]) -> None:
    left = iter(photos)
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def send_some() -> None:
            for photo in left:
                await _send_one(session, url, photo)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(send_some())


async def _send_one(session: aiohttp.ClientSession, url: str, photo: Path) -> None:
    body = photo.read_bytes()
    request = {"filename": photo.name, "size": len(body), "content_type": "image/jpeg"}
    async with session.post(f"{url}/v1/uploads", json=request, headers={"Idempotency-Key": str(uuid.uuid4())}) as sent:
        view = (await sent.json())["data"]
    while view["status"] == "waiting":
        view = await _view(session, view["links"]["self"])
    async with session.put(view["links"]["segment"].replace("{number}", "1"), data=body) as sent:
        await sent.read()
    while view["status"] not in ("ready", "failed", "expired", "cancelled"):
        view = await _view(session, view["links"]["self"])
    if view["status"] != "ready":
        raise RuntimeError(f"a photo ended as {view['status']}: {view['error']}")
    async with session.get(view["links"]["content"]) as content:
        await content.read()


async def _view(session: aiohttp.ClientSession, url: str) -> Any:
    await asyncio.sleep(_POLL_SECONDS)
    async with session.get(url) as response:
        return (await response.json())["data"]
