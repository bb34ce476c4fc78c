"""Memory of the gateway while it receives 200 segments at the same time."""

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
    """Memory of the gateway before, with all segments in flight, at the peak, and after."""
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
        all_in_flight = asyncio.Barrier(SEGMENTS + 1)
        finish = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            requests = [
                group.create_task(_send_slowly(view, number, all_in_flight, finish))
                for view in views
                for number in range(1, _SEGMENTS_EACH + 1)
            ]
            await all_in_flight.wait()
            in_flight = resident_bytes(pid)
            finish.set()
        peak = peak_bytes(pid)
        wrong = {request.result() for request in requests} - {200, 201}
        if wrong:
            raise RuntimeError(f"segments were refused with status {wrong}")
        for view in views:
            with contextlib.suppress(ApiError):  # it may have failed already, since its bytes are not media
                await client.cancel(view.id)
        after = resident_bytes(pid)
    return {
        "before": before / _MIB,
        f"{SEGMENTS} segments in flight": in_flight / _MIB,
        "peak": peak / _MIB,
        "after": after / _MIB,
    }


async def _create(client: SluiceClient) -> UploadView:
    request = CreateUpload(filename="slow.mp4", size=_SEGMENTS_EACH * 10 * _MIB, content_type="video/mp4")
    view = await client.create(request, str(uuid.uuid4()))
    if view.status != "admitted" or view.segment_count != _SEGMENTS_EACH:
        raise RuntimeError(
            f"the measurement needs {_SEGMENTS_EACH} admitted segments: {view.status}, {view.segment_count}"
        )
    return view


async def _send_slowly(view: UploadView, number: int, all_in_flight: asyncio.Barrier, finish: asyncio.Event) -> int:
    """Send a segment on a connection of its own, wait before the last block until `finish`, and return the status."""
    url = urlsplit((view.links.segment or "").replace("{number}", str(number)))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        length = view.segment_size
        head = f"PUT {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        block = bytes(_BLOCK_BYTES)
        for _ in range(length // _BLOCK_BYTES - 1):
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)  # lets the other clients send too, so that all progress together
        await all_in_flight.wait()
        await finish.wait()
        writer.write(block)
        await writer.drain()
        status_line = await reader.readline()
        return int(status_line.split()[1])
    finally:
        writer.close()
