"""A gateway with few descriptors beside thousands of connections that cost their clients nothing: honest uploads become
`ready`, and the log stays small."""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import SluiceProcesses
from deploy.embedded.process import ChildProcess
from pipeline.bootstrap.descriptors import raise_descriptor_limit
from pipeline.tasks import end_tasks
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.crowds import SLOW_HEAD, Crowd, crowd, request
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_LOG_BYTES = 2_000_000


def _with_limit(descriptors: int) -> type[SluiceProcesses]:
    """Processes whose gateway may have this many descriptors, and cannot raise the limit."""

    class Limited(SluiceProcesses):
        def _gateway(self, name: str, url: str) -> ChildProcess:
            child = super()._gateway(name, url)
            child.command = ["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *child.command]
            return child

    return Limited


async def _keep_coming(idle: Crowd, slow: Crowd) -> None:
    while True:
        await idle.join(20)
        await slow.join(5, SLOW_HEAD)
        await asyncio.sleep(0.2)


async def _upload(cell: Cell, video: bytes, slots: asyncio.Semaphore) -> None:
    async with slots:
        upload = await cell.create(len(video))
        await cell.put_all(upload, video, at_once=2)
        await cell.until(upload["id"], "ready")


@pytest.mark.parametrize(
    ("descriptors", "per_address", "source"),
    [(1024, 0, "127.0.0.1"), (256, 24, "127.0.0.2")],
    ids=["one address", "another address"],
)
async def test_honest_uploads_finish_beside_crowds(
    servers: Servers, tmp_path: Path, descriptors: int, per_address: int, source: str
) -> None:
    """`one address`: all come from one address, and there are more descriptors than requests in progress. `another
    address`: there are not, but each address is limited."""
    raise_descriptor_limit()  # of this process, which has the clients
    video = sample("mp4").read_bytes().ljust(4 * SEGMENT_BYTES, b"\0")
    async with running_cell(
        servers, tmp_path, processes=_with_limit(descriptors), connections_per_address=per_address, log_format="json"
    ) as cell:
        stalled = await cell.create(200 * SEGMENT_BYTES)
        length = {"Content-Length": str(SEGMENT_BYTES)}
        async with crowd(cell.url, source) as idle, crowd(cell.url, source) as slow, crowd(cell.url, source) as bodies:
            for number in range(1, 201):
                path = f"/v1/uploads/{stalled['id']}/segments/{number}"
                await bodies.join(1, request("PUT", path, length, b"x" * 1000))
            await idle.join(1100)
            await slow.join(200, SLOW_HEAD)
            coming = asyncio.create_task(_keep_coming(idle, slow))
            try:
                slots = asyncio.Semaphore(5)
                await asyncio.gather(*(_upload(cell, video, slots) for _ in range(20)))
            finally:
                await end_tasks(coming)
        log = cell.processes.log_path("gateway")
        text = log.read_text()
        assert [line for line in text.splitlines() if "Traceback" in line] == []
        assert "TEMP_VOLUME_FAILED" not in text
        assert "Too many open files" not in text
        assert log.stat().st_size < _LOG_BYTES
        assert text.count('"connections.') < 10


async def test_a_gateway_that_loses_its_last_descriptors_goes_on(servers: Servers, tmp_path: Path) -> None:
    """More connections are permitted than there are descriptors, as where a library takes them."""
    raise_descriptor_limit()
    video = sample("mp4").read_bytes().ljust(2 * SEGMENT_BYTES, b"\0")
    async with running_cell(
        servers, tmp_path, processes=_with_limit(1024), connections_per_address=0, log_format="json"
    ) as cell:
        pid = cell.processes.pids()["gateway"]
        _lower_limit(pid, 200)
        async with crowd(cell.url) as idle:
            await idle.join(400)

            async def exhausted() -> bool:
                return "connections.descriptors_exhausted" in cell.processes.log_path("gateway").read_text()

            await eventually(exhausted, 30, lambda: "the descriptors to be used up")
            upload = await cell.create(len(video))
            for number in (1, 2):
                await eventually(
                    partial(_is_taken, cell, upload, number, video), 30, lambda: "a descriptor for a segment"
                )
            await cell.until(upload["id"], "ready")
        text = cell.processes.log_path("gateway").read_text()
        assert text.count("connections.descriptors_exhausted") == 1
        assert "Traceback" not in text
        assert len(text) < _LOG_BYTES


async def _is_taken(cell: Cell, upload: dict[str, Any], number: int, data: bytes) -> bool:
    """Whether a segment is accepted now. What the crowd has just taken is no error: the client tries again."""
    status, body, _ = await cell.put(upload, number, data)
    assert status in (200, 201) or body["error"]["code"] == "DESCRIPTORS_EXHAUSTED", body
    return status in (200, 201)


def _lower_limit(pid: int, descriptors: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
