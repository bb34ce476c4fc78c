"""A disk that hangs must not keep the event loop waiting: heartbeats and take-overs run there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import google_crc32c
import pytest

from pipeline.adapters.volume.segment_source import FileSegmentSource
from tests.harness.disks import faulty_disk

pytestmark = pytest.mark.contract

_READ_SECONDS = 3.0
_LONGEST_STALL_SECONDS = 2.0


@asynccontextmanager
async def _stalls() -> AsyncIterator[list[float]]:
    """The list gets the time between every two runs of a task that does nothing."""
    loop, found = asyncio.get_running_loop(), [0.0]

    async def watch() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            found.append(loop.time() - before)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()


async def test_closing_a_file_waits_outside_the_event_loop(tmp_path: Path) -> None:
    """The disk serves one request at a time: the first reader closes its file while the disk serves the others."""
    data = os.urandom(1000)
    with faulty_disk(tmp_path / "disk") as disk:
        path = disk.point / "file"
        path.write_bytes(data)
        sources = [FileSegmentSource(path, 1, 0, len(data), google_crc32c.value(data)) for _ in range(3)]
        disk.delay("read", _READ_SECONDS)

        async def read(source: FileSegmentSource) -> bytes:
            return b"".join([block async for block in source.chunks()])

        async with _stalls() as stalls:
            assert await asyncio.gather(*map(read, sources)) == [data] * 3
    assert max(stalls) < _LONGEST_STALL_SECONDS
