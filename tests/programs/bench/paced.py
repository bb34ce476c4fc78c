"""Clients that send at a fixed rate, and begin one after the other at a fixed interval: the load of `plan`.

Each client creates an upload, follows its event stream, and sends four segments at once, which share its rate. It sends
no digest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from deploy.cli.plan_model import SEGMENTS_AT_ONCE

_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PacedLoad:
    """`count` uploads of `sample`, one every `interval_seconds`, each sent at `rate` bytes per second."""

    sample: Path
    content_type: str
    count: int
    interval_seconds: float
    rate: float

    @property
    def send_seconds(self) -> float:
        return self.sample.stat().st_size / self.rate


@dataclass(frozen=True, slots=True)
class Ended:
    """Ids of the uploads, and when the first and the last of them began (time.monotonic)."""

    upload_ids: list[str]
    began: float
    last_began: float


async def send_paced(url: str, load: PacedLoad) -> Ended:
    """Returns once every upload is ready. Raises RuntimeError when one is not."""
    body = load.sample.read_bytes()
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None, sock_read=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=True) as http:
        began = time.monotonic()
        tasks: list[asyncio.Task[str]] = []
        async with asyncio.TaskGroup() as group:
            for number in range(load.count):
                await asyncio.sleep(max(0.0, began + number * load.interval_seconds - time.monotonic()))
                last_began = time.monotonic()
                tasks.append(group.create_task(_upload(http, url, load, body)))
    return Ended([task.result() for task in tasks], began, last_began)


async def _upload(http: aiohttp.ClientSession, url: str, load: PacedLoad, body: bytes) -> str:
    request = {"filename": load.sample.name, "size": len(body), "content_type": load.content_type}
    async with http.post(f"{url}/v1/uploads", json=request) as response:
        view = (await response.json())["data"]
    if view["status"] != "admitted":
        raise RuntimeError(f"an upload is {view['status']}: the volume of the measurement is too small")
    following = asyncio.create_task(_follow(http, view["links"]["events"]))
    pace = _Pace(load.rate)
    segments = [body[start : start + view["segment_size"]] for start in range(0, len(body), view["segment_size"])]
    numbers = iter(enumerate(segments, 1))
    at_once = min(SEGMENTS_AT_ONCE, len(segments))

    async def send_some() -> None:
        for number, segment in numbers:
            await _put(http, view, number, segment, pace)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(send_some())
    await following
    async with http.get(view["links"]["self"]) as response:
        ended = (await response.json())["data"]
    if ended["status"] != "ready":
        raise RuntimeError(f"an upload ended as {ended['status']}: {ended['error']}")
    return str(view["id"])


async def _put(http: aiohttp.ClientSession, view: dict[str, Any], number: int, segment: bytes, pace: _Pace) -> None:
    url = view["links"]["segment"].replace("{number}", str(number))
    fields = {"Content-Length": str(len(segment)), "Content-Type": "application/octet-stream"}
    async with http.put(url, data=_paced(segment, pace), headers=fields) as response:
        await response.read()


class _Pace:
    """The rate of one client, whose segments share it."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()

    async def wait(self, size_bytes: int) -> None:
        """Return when this many bytes have passed after all bytes before them."""
        self._next += size_bytes / self._rate
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))


async def _paced(segment: bytes, pace: _Pace) -> AsyncIterator[bytes]:
    for start in range(0, len(segment), _BLOCK_BYTES):
        block = segment[start : start + _BLOCK_BYTES]
        await pace.wait(len(block))
        yield block


async def _follow(http: aiohttp.ClientSession, url: str) -> None:
    """Returns when the upload has ended, which ends its stream."""
    async with http.get(url) as response:
        async for _ in response.content.iter_any():
            pass
