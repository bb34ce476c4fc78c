"""What tests of windows and early release share: a client that sends what is missing until its upload is ready, and a
sampler that watches the budget of a temp volume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp

from pipeline.core.windows import BLOCK_BYTES
from pipeline.tasks import end_tasks
from tests.harness.blocks import occupied_by_uploads
from tests.harness.cell import Cell, hash_get

_PAUSE_SECONDS = 0.02
# Responses after which the client asks what is missing and continues.
AGAIN = frozenset(
    {
        "SEGMENT_WINDOW_FULL",
        "UPLOAD_WAITING",
        "UPLOAD_RECOVERING",
        "REDIS_UNAVAILABLE",
        "SEGMENT_CUT_OFF",
        "TEMP_VOLUME_FULL",
    }
)


@dataclass
class Sender:
    """Sends one upload. `part` gives the bytes of a segment; `sent` counts how often each was sent, `accepted` how
    often it was accepted as new, `refused` how often which code was the response."""

    cell: Cell
    upload: Mapping[str, Any]
    part: Callable[[int], bytes]
    at_once: int = 4
    sent: dict[int, int] = field(default_factory=dict)
    accepted: dict[int, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    async def until_ready(self) -> dict[str, Any]:
        """Send what is missing, what the reader wants first, until the upload is `ready`; its view."""
        while True:
            view = await self._view()
            if view is None or view["status"] in ("waiting", "processing"):
                await self._pause()
                continue
            if view["status"] not in ("admitted", "receiving"):
                assert view["status"] == "ready", view
                return view
            wanted = [number for first, last in view["wanted_segments"] or () for number in range(first, last + 1)]
            missing = [number for first, last in view["missing_segments"] for number in range(first, last + 1)]
            await self.send(dict.fromkeys([*wanted, *missing]))
            await self._pause()

    async def send(self, numbers: Mapping[int, None]) -> None:
        """Send these segments, in order and `at_once` at a time; each until it is accepted or anything else is
        wrong."""
        waiting = iter(list(numbers))

        async def lane() -> None:
            for number in waiting:
                while not await self._sent(number):
                    await self._pause()

        await asyncio.gather(*(lane() for _ in range(self.at_once)))

    async def _sent(self, number: int) -> bool:
        """Send a segment; False: there was no room for it."""
        path = f"/v1/uploads/{self.upload['id']}/segments/{number}"
        self.sent[number] = self.sent.get(number, 0) + 1
        try:
            status, body, _ = await self.cell.call("PUT", path, data=BytesIO(self.part(number)))
        except (aiohttp.ClientError, ConnectionError, ValueError):  # a gateway was killed
            await self._pause()
            return True
        if status in (200, 201):
            if not body["data"]["repeated"]:
                self.accepted[number] = self.accepted.get(number, 0) + 1
            return True
        code: str = body["error"]["code"]
        self.refused[code] = self.refused.get(code, 0) + 1
        assert code in AGAIN, body
        return code != "SEGMENT_WINDOW_FULL"

    async def _pause(self) -> None:
        """What the client waits for happens in other processes."""
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _view(self) -> dict[str, Any] | None:
        try:
            status, body, _ = await self.cell.call("GET", f"/v1/uploads/{self.upload['id']}")
        except (aiohttp.ClientError, ConnectionError, ValueError):
            return None
        if status >= 500:
            return None
        assert status == 200, body
        view: dict[str, Any] = body["data"]
        return view


@dataclass
class Samples:
    """The most bytes that were seen reserved, on the disk and in maps of files, and how often that was looked at."""

    reserved_bytes: int = 0
    disk_bytes: int = 0
    map_bytes: int = 0
    count: int = 0

    def require_within(self, budget_bytes: int, files: int) -> None:
        """The filesystem may keep the map of each of `files` files in a block, which no reservation counts."""
        assert self.count > 20, "the volume was hardly looked at"
        assert self.reserved_bytes <= budget_bytes, self
        assert self.disk_bytes <= budget_bytes, self
        assert self.map_bytes <= files * BLOCK_BYTES, self


@asynccontextmanager
async def sampled(cell: Cell, every_seconds: float = 0.005) -> AsyncIterator[Samples]:
    """Look at the ledger and at the disk all the time while the block runs."""
    samples = Samples()
    volume = cell.keys.volume(cell.settings.volume)

    async def watch() -> None:
        while True:
            samples.reserved_bytes = max(
                samples.reserved_bytes, int(await hash_get(cell.redis, volume, "reserved_bytes") or 0)
            )
            on_disk, _ = occupied_by_uploads(cell.settings.temp_dir)
            samples.disk_bytes = max(samples.disk_bytes, on_disk.data_bytes)
            samples.map_bytes = max(samples.map_bytes, on_disk.map_bytes)
            samples.count += 1
            await asyncio.sleep(every_seconds)

    task = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        await end_tasks(task)
        if not task.cancelled():
            task.result()


def disk_bytes(cell: Cell) -> int:
    """Bytes that the disk has allocated for temp files."""
    return occupied_by_uploads(cell.settings.temp_dir)[0].data_bytes


def parts_of(upload: Mapping[str, Any], data: bytes) -> Callable[[int], bytes]:
    """The segments of a file that is in memory."""
    size = upload["segment_size"]
    return lambda number: data[(number - 1) * size : number * size]
