"""The gateway's memory stays bounded with fifty uploads and fifty downloads at once, some of them slow."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.cli.processes import GATEWAY, SluiceProcesses
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.programs.bench.usage import forget_peak, peak_bytes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CLIENTS = 50
MEBIBYTE = 1024 * 1024
SIZE = 256 * MEBIBYTE
SEGMENT_BYTES = 5 * MEBIBYTE
BOUND_BYTES = 110 * MEBIBYTE
PAUSE_AT = 4 * MEBIBYTE
LEAVE_AT = 8 * MEBIBYTE
_STILL = 12
"""Looks at the bytes that were sent, in a row, that must all see the same."""


def large_video() -> bytes:
    """A video followed by a `free` box, which players skip (ISO/IEC 14496-12)."""
    video = sample("mp4").read_bytes()
    room = SIZE - len(video)
    return video + room.to_bytes(4, "big") + b"free" + hashlib.shake_128(b"sluice").digest(MEBIBYTE) * 256


@pytest.mark.parametrize("store", ["swift", "s3", "filesystem"])
async def test_fifty_at_once(
    servers: Servers, tmp_path: Path, store: str, record_property: Callable[[str, object], None]
) -> None:
    data = large_video()[:SIZE]
    async with running_cell(
        servers,
        tmp_path,
        store=store,
        s3_bucket=f"memory-{store}",
        filesystem_dir=str(tmp_path / "store"),
        segment_bytes=SEGMENT_BYTES,
        log_level="warning",
        processes=SluiceProcesses,  # a process of its own, with nothing else in its memory
    ) as cell:
        pid = cell.processes.pids()[GATEWAY]
        forget_peak(pid)
        fresh = peak_bytes(pid)
        upload = await cell.create(len(data), filename="large.mp4")
        await cell.until(upload["id"], "admitted")
        await cell.put_all(upload, data, at_once=CLIENTS)
        uploading = peak_bytes(pid) - fresh
        await cell.until(upload["id"], "ready", seconds=400)
        content = await cell.content(upload["id"])

        forget_peak(pid)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            stop = Stop(asyncio.Barrier(CLIENTS + 1), asyncio.Event())
            downloads = (_download(session, cell, content, stop, whole=number == 0) for number in range(CLIENTS))
            reading = asyncio.gather(*downloads)
            await stop.reached.wait()
            await _until_nothing_is_sent(cell)
            stop.over.set()
            digests = await reading
        downloading = peak_bytes(pid) - fresh
        record_property("uploading_mib", uploading // MEBIBYTE)
        record_property("downloading_mib", downloading // MEBIBYTE)
        assert digests[0] == hashlib.sha256(data).hexdigest()
        assert uploading < BOUND_BYTES
        assert downloading < BOUND_BYTES

        async def let_go() -> bool:
            async with cell.http.get(f"{cell.url}/metrics") as answer:
                return "\nsluice_downloads 0.0\n" in await answer.text()

        await eventually(let_go, 20, lambda: "the downloads of clients that hung up to end")


@dataclass(frozen=True)
class Stop:
    """Where every client stops reading: `reached` by all of them, until it is `over`."""

    reached: asyncio.Barrier
    over: asyncio.Event


async def _until_nothing_is_sent(cell: Cell) -> None:
    """Every buffer on the way is full: the gateway's, and before those the kernel's."""
    seen: list[str] = []

    async def is_still() -> bool:
        async with cell.http.get(f"{cell.url}/metrics") as answer:
            (line,) = (
                line for line in (await answer.text()).splitlines() if line.startswith("sluice_sent_bytes_total")
            )
        seen.append(line)
        return len(seen) > _STILL and len(set(seen[-_STILL:])) == 1

    await eventually(is_still, 120, lambda: f"the gateway to send nothing more: {seen[-3:]}")


async def _download(
    session: aiohttp.ClientSession, cell: Cell, content: dict[str, Any], stop: Stop, *, whole: bool
) -> str:
    """Read a little and stop until all others have, too, and every buffer on the way is full.

    Then one client reads to the end; the others read a little more and hang up. Returns the digest of what was read.
    """
    digest = hashlib.sha256()
    taken = 0
    async with session.get(f"{cell.url}/v1/contents/{content['id']}/download?via=gateway") as answer:
        assert answer.status == 200
        while block := await answer.content.read(256 * 1024):
            digest.update(block)
            before, taken = taken, taken + len(block)
            if before < PAUSE_AT <= taken:
                await stop.reached.wait()
                await stop.over.wait()
            if taken >= LEAVE_AT and not whole:
                answer.close()
                break
    return digest.hexdigest()
