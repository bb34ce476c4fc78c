"""Segments at once against one at a time, into a Swift whose responses come 100 ms late.

What is measured of Sluice is stage `transfer` alone: every segment is on the temp volume before it begins. Peer: plain
PUTs of the same bytes through the same proxy. Segments are small, so that the delay counts and not the disk.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import aiohttp
from rich.console import Console
from yarl import URL

from tests.harness.cell import Cell
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import own_cell
from tests.programs.bench.delaying import DelayingProxy
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video

PART = "parallel"
_DELAY_SECONDS = 0.1
_SEGMENT_BYTES = 64 * 1024
_SEGMENTS = 160
_AT_ONCE = 16
_CONTAINER = "bench-parallel"


def measure_parallel(bed: Bed, console: Console, *, repeat: int) -> list[Figure]:
    """Seconds for all segments, one at a time once, `_AT_ONCE` at once `repeat` times, and how many times faster."""
    console.print(f"{_SEGMENTS} segments into a store whose responses come {_DELAY_SECONDS * 1000:.0f} ms late")
    sample = bed.directory / "parallel.mp4"
    make_large_video(bed.ffmpeg, sample, _SEGMENTS * _SEGMENT_BYTES)
    data = sample.read_bytes()[: _SEGMENTS * _SEGMENT_BYTES].ljust(_SEGMENTS * _SEGMENT_BYTES, b"\0")
    sample.unlink()
    server = URL(bed.stack.swift.auth_url)
    assert server.host is not None
    assert server.port is not None
    seconds: dict[str, list[float]] = {}
    with DelayingProxy((server.host, server.port), _DELAY_SECONDS) as proxy:
        auth_url = str(server.with_port(proxy.port))
        for at_once, times in ((1, 1), (_AT_ONCE, repeat)):
            with own_cell(bed, f"parallel-{at_once}", swift_auth_url=auth_url, **_settings(at_once)) as cell:
                sluice = asyncio.run(_through_sluice(cell, data, times))
            seconds[f"sluice: {at_once} at once"] = sluice
            peer = [asyncio.run(_plain(bed, auth_url, data, at_once)) for _ in range(times)]
            seconds[f"plain PUTs: {at_once} at once"] = peer
            console.print(f"  {at_once} at once: sluice {sluice}, plain PUTs {peer}", highlight=False)
    figures = [Figure(PART, name, "s", values) for name, values in seconds.items()]
    medians = {figure.name: figure.median for figure in figures}
    for name in ("sluice", "plain PUTs"):
        ratio = medians[f"{name}: 1 at once"] / medians[f"{name}: {_AT_ONCE} at once"]
        figures.append(Figure(PART, f"{name}: {_AT_ONCE} at once against 1", "times faster", [ratio]))
    return figures


def _settings(at_once: int) -> dict[str, int]:
    return {"segment_bytes": _SEGMENT_BYTES, "store_concurrency": at_once}


async def _through_sluice(cell: CellProcesses, data: bytes, times: int) -> list[float]:
    async with cell.connected() as connected:
        first = await connected.create(_SEGMENT_BYTES)  # the worker logs in, and finds the containers
        await connected.put_all(first, data[:_SEGMENT_BYTES])
        await connected.until(first["id"], "ready")
        return [await _transfer(cell, connected, data) for _ in range(times)]


async def _transfer(cell: CellProcesses, connected: Cell, data: bytes) -> float:
    with _paused(cell.processes.pids()["worker-transfer"]):
        upload = await connected.create(len(data))
        await connected.put_all(upload, data)
    view = await connected.until(upload["id"], "ready", seconds=_SEGMENTS)
    return _seconds(view["stages"]["transfer"])


def _seconds(stage: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(stage[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


@contextmanager
def _paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _plain(bed: Bed, auth_url: str, data: bytes, at_once: int) -> float:
    login = {"X-Auth-User": bed.stack.swift.user, "X-Auth-Key": bed.stack.swift.key}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:
        async with session.get(auth_url, headers=login, raise_for_status=True) as response:
            headers = {"X-Auth-Token": response.headers["X-Auth-Token"]}
            container = f"{response.headers['X-Storage-Url']}/{_CONTAINER}"

        async def put(name: str, body: bytes) -> None:
            async with session.put(f"{container}/{name}", data=body, headers=headers, raise_for_status=True):
                pass

        async with session.put(container, headers=headers, raise_for_status=True):
            pass
        began = time.monotonic()
        parts = (data[start : start + _SEGMENT_BYTES] for start in range(0, len(data), _SEGMENT_BYTES))
        await asyncio.gather(*(put(str(number), part) for number, part in enumerate(parts)))
        return time.monotonic() - began
