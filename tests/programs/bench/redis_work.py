"""What an upload costs in Redis: commands, scripts and time, of a photo and of a video of 16 MiB.

One upload at a time, each followed through its event stream and until it is cleaned up. The counters are those of `INFO
commandstats`, so the time of all commands counts that of commands inside scripts twice: by themselves and in the time
of the script. What processes do without uploads is measured first and subtracted by time.

It is the Redis of `SLUICE_REDIS_URL`; else a cell of its own on the redis-server on PATH, which is Debian's 7.0; else
the embedded one. The units of the figures name its version.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import redis
from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.segment_body import SegmentBody
from deploy.cli.segment_file import SegmentFile
from deploy.embedded.stack import VOLUME
from pipeline.adapters.redis.keys import Keys
from schemas.uploads import CreateUpload, UploadView
from tests.harness.redis_versions import redis_server_of
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.redis_calls import OWN, calls_text, monitored
from tests.programs.bench.samples import make_large_video, make_photo

PART = "redis"
_VIDEO_BYTES = 16 * 1024 * 1024
_WARM_UP = 3
_IDLE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_SCRIPTS = ("eval", "evalsha")


@dataclass(frozen=True, slots=True)
class _Cell:
    """What is measured: the URL of its gateway, its Redis, and the key of its ended uploads that are not cleaned up."""

    url: str
    redis_url: str
    ended_key: str


@dataclass(frozen=True, slots=True)
class _Sample:
    """A file to upload: `count` times for the figures, and `named` times for the names of what is called."""

    path: Path
    content_type: str
    count: int
    named: int = 5


@dataclass(frozen=True, slots=True)
class _Work:
    """What Redis has done: calls by command, and the microseconds of all commands, of scripts, and of its CPU."""

    calls: Mapping[str, float]
    command_us: float
    script_us: float
    cpu_us: float

    def plus(self, other: _Work, factor: float) -> _Work:
        names = self.calls.keys() | other.calls.keys()
        return _Work(
            {name: self.calls.get(name, 0) + factor * other.calls.get(name, 0) for name in names},
            self.command_us + factor * other.command_us,
            self.script_us + factor * other.script_us,
            self.cpu_us + factor * other.cpu_us,
        )


_NOTHING = _Work({}, 0, 0, 0)


def measure_redis(bed: Bed, console: Console) -> list[Figure]:
    """The work of each upload of either kind. What is called comes from separate uploads, under MONITOR."""
    photo, video = bed.directory / "photo.jpg", bed.directory / "video.mp4"
    make_photo(bed.ffmpeg, photo)
    make_large_video(bed.ffmpeg, video, _VIDEO_BYTES)
    samples = {"photo": _Sample(photo, "image/jpeg", 40), "video": _Sample(video, "video/mp4", 10)}
    figures: list[Figure] = []
    with _measured(bed) as cell, redis.Redis.from_url(cell.redis_url, decode_responses=True) as client:
        version = cast("dict[str, str]", client.info("server"))["redis_version"]
        for kind, sample in samples.items():
            asyncio.run(_send(cell, client, sample, _WARM_UP))
            idle = _idle(client)
            works = asyncio.run(_send(cell, client, sample, sample.count, idle))
            with monitored(cell.redis_url) as lines:
                asyncio.run(_send(cell, client, sample, sample.named))
            console.print(f"{kind}:\n{calls_text(lines, sample.named)}", highlight=False)
            figures += _figures(kind, works, f"on Redis {version}")
    for figure in figures:
        console.print(f"  {figure.name}: {figure.median:.2f} {figure.unit}", highlight=False)
    return figures


@contextmanager
def _measured(bed: Bed) -> Iterator[_Cell]:
    if "SLUICE_REDIS_URL" in os.environ or shutil.which("redis-server") is None:
        yield _Cell(bed.url, bed.stack.redis_url, Keys("sluice").ended(VOLUME))
        return
    with (
        redis_server_of("redis-7", bed.directory / "redis-7") as server,
        own_cell(bed, PART, redis_url=server.url) as cell,
    ):
        keys, volume = Keys(cell.settings.redis_namespace), cell.settings.volume
        yield _Cell(cell.processes.url, server.url, keys.ended(volume))


def _figures(kind: str, works: list[_Work], server: str) -> list[Figure]:
    return [
        Figure(PART, f"{kind}: calls", server, [sum(work.calls.values()) for work in works]),
        Figure(PART, f"{kind}: scripts", server, [sum(work.calls.get(name, 0) for name in _SCRIPTS) for work in works]),
        Figure(PART, f"{kind}: time of all commands", f"ms {server}", [work.command_us / 1000 for work in works]),
        Figure(PART, f"{kind}: time of scripts", f"ms {server}", [work.script_us / 1000 for work in works]),
        Figure(PART, f"{kind}: CPU of the server", f"ms {server}", [work.cpu_us / 1000 for work in works]),
    ]


def _read(client: redis.Redis) -> _Work:
    stats = cast("dict[str, dict[str, Any]]", client.info("commandstats"))
    found = {name.removeprefix("cmdstat_"): values for name, values in stats.items()}
    found = {name: values for name, values in found.items() if name not in OWN}
    cpu = cast("dict[str, float]", client.info("cpu"))
    script_us = sum(float(values["usec"]) for name, values in found.items() if name in _SCRIPTS)
    return _Work(
        {name: float(values["calls"]) for name, values in found.items()},
        sum(float(values["usec"]) for values in found.values()),
        script_us,
        1e6 * (cpu["used_cpu_sys"] + cpu["used_cpu_user"]),
    )


def _idle(client: redis.Redis) -> _Work:
    """What Redis does in a second without uploads."""
    before, began = _read(client), time.monotonic()
    time.sleep(_IDLE_SECONDS)  # what is measured is this time without uploads
    after, seconds = _read(client), time.monotonic() - began
    return _NOTHING.plus(after.plus(before, -1), 1 / seconds)


async def _send(cell: _Cell, client: redis.Redis, sample: _Sample, count: int, idle: _Work = _NOTHING) -> list[_Work]:
    works: list[_Work] = []
    async with SluiceClient(cell.url) as sluice:
        for _ in range(count):
            before, began = _read(client), time.monotonic()
            await _upload(sluice, sample)
            await _until_clean(client, cell.ended_key)
            work, seconds = _read(client).plus(before, -1), time.monotonic() - began
            works.append(work.plus(idle, -seconds))
    return works


async def _upload(sluice: SluiceClient, sample: _Sample) -> None:
    with SegmentFile(sample.path) as file:
        size = file.stat.st_size
        request = CreateUpload(filename=sample.path.name, size=size, content_type=sample.content_type)
        view = await sluice.create(request, str(uuid.uuid4()))
        for number in range(1, view.segment_count + 1):
            offset = (number - 1) * view.segment_size
            length = min(view.segment_size, size - offset)
            digest = await file.digest_header(offset, length, "crc32c")
            await sluice.put_segment(view, number, length, partial(SegmentBody, file, offset, length, _ignore), digest)
    last: UploadView = view
    async for last in sluice.watch(view.id):
        if last.status in ENDED:
            break
    if last.status != "ready":
        raise RuntimeError(f"an upload ended as {last.status}: {last.error}")


def _ignore(_: int) -> None: ...


async def _until_clean(client: redis.Redis, ended_key: str) -> None:
    """Return when no ended upload waits for its cleanup."""
    loop = asyncio.get_running_loop()
    while client.exists(ended_key):
        pause = loop.create_future()
        loop.call_later(_POLL_SECONDS, pause.set_result, None)
        await pause
