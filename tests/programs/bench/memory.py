"""Memory of the gateway while 200 segments are on their way to it at once."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from urllib.parse import urlsplit

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ApiError
from schemas.uploads import CreateUpload, UploadView
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.usage import forget_peak, peak_bytes, resident_bytes

PART = "memory"
SEGMENTS = 200
_SEGMENTS_EACH = 10
_MIB = 1024 * 1024
_BLOCK_BYTES = 64 * 1024
_UNIT = "MiB"


def measure_memory(bed: Bed, console: Console) -> list[Figure]:
    """Resident bytes of the gateway before, with all segments under way, at the peak, and after."""
    console.print(f"{SEGMENTS} segments at once")
    found = asyncio.run(_measure(bed))
    console.print("  " + ", ".join(f"{name} {value:.0f}" for name, value in found.items()), highlight=False)
    return [Figure(PART, f"gateway: {name}", _UNIT, [value]) for name, value in found.items()]


async def _measure(bed: Bed) -> dict[str, float]:
    pid = bed.gateway_pid
    async with SluiceClient(bed.url) as client:
        views = [await _create(client) for _ in range(SEGMENTS // _SEGMENTS_EACH)]
        before = resident_bytes(pid)
        forget_peak(pid)
        all_but_done = asyncio.Barrier(SEGMENTS + 1)
        finish = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            answers = [
                group.create_task(_send_slowly(view, number, all_but_done, finish))
                for view in views
                for number in range(1, _SEGMENTS_EACH + 1)
            ]
            await all_but_done.wait()
            under_way = resident_bytes(pid)
            finish.set()
        peak = peak_bytes(pid)
        wrong = {answer.result() for answer in answers} - {200, 201}
        if wrong:
            raise RuntimeError(f"segments were answered with {wrong}")
        for view in views:
            with contextlib.suppress(ApiError):  # it may have failed before: what was sent is no media
                await client.cancel(view.id)
        after = resident_bytes(pid)
    return {
        "before": before / _MIB,
        f"{SEGMENTS} segments under way": under_way / _MIB,
        "peak": peak / _MIB,
        "after": after / _MIB,
    }


async def _create(client: SluiceClient) -> UploadView:
    request = CreateUpload(filename="slow.mp4", size=_SEGMENTS_EACH * 10 * _MIB, content_type="video/mp4")
    view = await client.create(request, str(uuid.uuid4()))
    if view.status != "admitted" or view.segment_count != _SEGMENTS_EACH:
        raise RuntimeError(f"the temp volume has no room for this measurement: {view.status}, {view.segment_count}")
    return view


async def _send_slowly(view: UploadView, number: int, all_but_done: asyncio.Barrier, finish: asyncio.Event) -> int:
    """A client on a line of its own that sends all but its last block, waits for everybody else, and ends.

    Its answer's status.
    """
    url = urlsplit(view.links.segment.replace("{number}", str(number)))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        length = view.segment_size
        head = f"PUT {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        block = bytes(_BLOCK_BYTES)
        for _ in range(length // _BLOCK_BYTES - 1):
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)  # everybody has a turn: nobody is done early
        await all_but_done.wait()
        await finish.wait()
        writer.write(block)
        await writer.drain()
        status_line = await reader.readline()
        return int(status_line.split()[1])
    finally:
        writer.close()
