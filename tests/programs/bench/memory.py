"""Memory of the gateway while it receives many segments at the same time: nearly complete ones, and ones whose clients
stop after a few MiB."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ApiError
from deploy.cli.processes import GATEWAY, SluiceProcesses
from pipeline.bootstrap.descriptors import raise_descriptor_limit
from schemas.uploads import CreateUpload, UploadView
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.usage import forget_peak, peak_bytes, resident_bytes

PART = "memory"
_COUNT = 200
_STALLED_COUNTS = (200, 1_000)
_SEGMENTS_EACH = 10
_MIB = 1024 * 1024
_SEGMENT_BYTES = 10 * _MIB
_STALLED_BYTES = 3 * _MIB
_BLOCK_BYTES = 64 * 1024
_UNIT = "MiB"


@dataclass(frozen=True, slots=True)
class _Clients:
    """`count` clients, each with a segment of its own. Each stops after `stop_bytes`, and ends when `finish` is set: by
    sending the rest, or by hanging up where `hang_up`."""

    count: int
    stop_bytes: int
    hang_up: bool
    stopped: asyncio.Barrier
    finish: asyncio.Event = field(default_factory=asyncio.Event)


def measure_memory(bed: Bed, console: Console) -> list[Figure]:
    """Memory of a gateway before, with all segments in flight, at the peak, and after. Its only store is Swift: S3
    needs botocore, which takes as much memory as hundreds of connections."""
    raise_descriptor_limit()
    with own_cell(bed, "memory", s3_bucket="", connections_per_address=0) as cell:
        return _measure_cell(cell, console)


def _measure_cell(cell: CellProcesses, console: Console) -> list[Figure]:
    found: dict[str, float] = {}
    runs = [(_COUNT, _SEGMENT_BYTES - _BLOCK_BYTES), *((count, _STALLED_BYTES) for count in _STALLED_COUNTS)]
    for count, stop_bytes in runs:
        stalled = stop_bytes == _STALLED_BYTES
        name = f"{count:,} segments stopped after {_STALLED_BYTES // _MIB} MiB" if stalled else f"{count} segments"
        console.print(f"{name} at once")
        measured = asyncio.run(_measure(cell.processes, count, stop_bytes, hang_up=stalled))
        console.print("  " + ", ".join(f"{key} {value:.0f}" for key, value in measured.items()), highlight=False)
        found |= {f"{name}: {key}": value for key, value in measured.items()}
    return [Figure(PART, f"gateway: {name}", _UNIT, [value]) for name, value in found.items()]


async def _measure(sluice: SluiceProcesses, count: int, stop_bytes: int, *, hang_up: bool) -> dict[str, float]:
    pid = sluice.pids()[GATEWAY]
    clients = _Clients(count, stop_bytes, hang_up, asyncio.Barrier(count + 1))
    async with SluiceClient(sluice.url) as client:
        views = [await _create(client) for _ in range(count // _SEGMENTS_EACH)]
        before = await _settled(pid)
        forget_peak(pid)
        async with asyncio.TaskGroup() as group:
            requests = [
                group.create_task(_send_slowly(view, number, clients))
                for view in views
                for number in range(1, _SEGMENTS_EACH + 1)
            ]
            await clients.stopped.wait()
            in_flight = resident_bytes(pid)
            clients.finish.set()
        peak = peak_bytes(pid)
        # 409: a segment that came earlier has shown that the bytes are not media, which has ended the upload.
        wrong = {request.result() for request in requests} - {None, 200, 201, 409}
        if wrong:
            raise RuntimeError(f"segments were refused with status {wrong}")
        for view in views:
            with contextlib.suppress(ApiError):  # it may have ended already
                await client.cancel(view.id)
        after = resident_bytes(pid)
    return {"before": before / _MIB, "in flight": in_flight / _MIB, "peak": peak / _MIB, "after": after / _MIB}


async def _settled(pid: int) -> int:
    """Resident bytes, once the process has neither taken memory nor given any back for six seconds: a gateway
    gives memory back once it has received little for two to four."""
    seen = [resident_bytes(pid)]
    while len(seen) < 13 or max(seen[-13:]) - min(seen[-13:]) > _MIB:
        await asyncio.sleep(0.5)
        seen.append(resident_bytes(pid))
    return seen[-1]


async def _create(client: SluiceClient) -> UploadView:
    request = CreateUpload(filename="slow.mp4", size=_SEGMENTS_EACH * _SEGMENT_BYTES, content_type="video/mp4")
    view = await client.create(request, str(uuid.uuid4()))
    if view.status != "admitted" or view.segment_count != _SEGMENTS_EACH:
        raise RuntimeError(
            f"the measurement needs {_SEGMENTS_EACH} admitted segments: {view.status}, {view.segment_count}"
        )
    return view


async def _send_slowly(view: UploadView, number: int, clients: _Clients) -> int | None:
    """Send a segment on a connection of its own; the status of the response, if there is one."""
    url = urlsplit((view.links.segment or "").replace("{number}", str(number)))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        length = view.segment_size
        head = f"PUT {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        block = bytes(_BLOCK_BYTES)
        for sent in range(0, length, _BLOCK_BYTES):
            if sent == clients.stop_bytes:
                await clients.stopped.wait()
                await clients.finish.wait()
                if clients.hang_up:
                    return None
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)  # lets the other clients send too, so that all progress together
        status_line = await reader.readline()
        return int(status_line.split()[1])
    finally:
        writer.close()
