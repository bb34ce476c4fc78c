"""Workers that are killed: their work is taken over, and nothing is lost or left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from deploy.cli.processes import SEPARATE
from deploy.embedded import EmbeddedStack
from tests.cell import SEGMENT_BYTES, Cell, eventually, running_cell
from tests.media_samples import sample

pytestmark = pytest.mark.e2e

_UPLOADS = 20
_TAKEOVER_SECONDS = 10.0


def _video() -> bytes:
    """A small video with a long tail that is not part of it: several segments, quick to probe."""
    return sample("mp4").read_bytes().ljust(8 * SEGMENT_BYTES, b"\0")


async def _stored_segments(cell: Cell) -> int:
    return sum([int((await cell.status(upload_id))["bytes_stored"]) for upload_id in cell.uploads]) // SEGMENT_BYTES


async def test_every_worker_killed_in_the_middle_of_twenty_uploads(servers: EmbeddedStack, tmp_path: Path) -> None:
    video = _video()
    async with running_cell(servers, tmp_path) as cell:
        uploads = [await cell.create(len(video)) for _ in range(_UPLOADS)]
        sending = asyncio.gather(*(cell.put_all(upload, video, at_once=1) for upload in uploads))

        async def under_way() -> bool:
            return await _stored_segments(cell) >= 20

        await eventually(under_way, 60, lambda: "transfer to be in the middle of it")
        worker = cell.processes.child("worker-all")
        worker.stop(signal.SIGKILL)
        before = await cell.redis.xlen(cell.keys.events)
        worker.start()
        started = time.monotonic()

        async def taken_over() -> bool:
            events = await cell.redis.xrange(cell.keys.events)
            return any(entry["value"] == "running" for _, entry in events[before:])

        await eventually(taken_over, _TAKEOVER_SECONDS, lambda: "a stage to run again")
        assert time.monotonic() - started < _TAKEOVER_SECONDS
        await sending
        views = await asyncio.gather(*(cell.until(upload["id"], "ready") for upload in uploads))
        for view in views:
            content = await cell.content(view["id"])
            assert content["object"]["size_bytes"] == len(video)
        first = await cell.content(views[0]["id"])
        assert await cell.read(first["object"]["key"]) == video
        await cell.until_clean()


@pytest.mark.parametrize("kind", ["admission", "transfer", "assemble", "probe", "thumbnail", "persist"])
async def test_one_worker_type_killed_while_uploads_run(servers: EmbeddedStack, tmp_path: Path, kind: str) -> None:
    video = _video()
    async with running_cell(servers, tmp_path, workers=SEPARATE) as cell:
        uploads = [await cell.create(len(video)) for _ in range(4)]
        await asyncio.gather(*(cell.put_all(upload, video) for upload in uploads[:2]))
        worker = cell.processes.child(f"worker-{kind}")
        worker.stop(signal.SIGKILL)
        await asyncio.gather(*(cell.put_all(upload, video) for upload in uploads[2:]))
        worker.start()
        await asyncio.gather(*(cell.until(upload["id"], "ready") for upload in uploads))
        await cell.until_clean()


async def test_a_store_that_hangs_holds_up_no_take_over(servers: EmbeddedStack, tmp_path: Path) -> None:
    """What has ended is removed from the store by the same worker that takes over; while that waits, this goes on."""
    video = _video()
    async with running_cell(servers, tmp_path, workers=SEPARATE) as cell:
        ended, alive = [await cell.create(len(video)) for _ in range(2)]
        await cell.put(ended, 1, video)

        async def stored() -> bool:
            return int((await cell.status(ended["id"]))["bytes_stored"]) > 0

        await eventually(stored, 60, lambda: "a segment to be stored")
        proxy = servers.processes()["proxy-server"]
        os.kill(proxy, signal.SIGSTOP)
        try:
            await cell.call("DELETE", f"/v1/uploads/{ended['id']}", expect=200)
            await cell.put(alive, 1, video)
            lease = f"{cell.keys.prefix}stage-leases"

            async def transferring() -> bool:
                view = await cell.status(alive["id"])
                return bool(view["stages"]["transfer"]["state"] == "running")

            await eventually(transferring, 60, lambda: "a transfer to hang")
            [held] = [item for item in await cell.redis.zrange(lease, 0, -1) if item.startswith(alive["id"])]
            cell.processes.child("worker-transfer").stop(signal.SIGKILL)

            async def given_to_somebody_else() -> bool:
                return held not in await cell.redis.zrange(lease, 0, -1)

            await eventually(given_to_somebody_else, 30, lambda: "the dead run's lease to be taken")
        finally:
            os.kill(proxy, signal.SIGCONT)
        cell.processes.child("worker-transfer").start()
        await cell.put_all(alive, video)
        await cell.until(alive["id"], "ready")
        await cell.until_clean()


async def test_a_gateway_killed_in_mid_segment(servers: EmbeddedStack, tmp_path: Path) -> None:
    video = _video()
    async with running_cell(servers, tmp_path) as cell:
        upload = await cell.create(len(video))
        host, port = cell.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        path = f"/v1/uploads/{upload['id']}/segments/1"
        lines = [f"PUT {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {SEGMENT_BYTES}", "", ""]
        writer.write("\r\n".join(lines).encode() + video[: SEGMENT_BYTES // 2])
        await writer.drain()
        gateway = cell.processes.child("gateway")
        gateway.stop(signal.SIGKILL)
        writer.transport.abort()
        gateway.start()
        await eventually(lambda: _answers(cell), 60, lambda: "the gateway to be back")
        assert (await cell.status(upload["id"]))["missing_segments"] == [[1, 8]]
        await cell.put_all(upload, video)
        content = await cell.content((await cell.until(upload["id"], "ready"))["id"])
        assert await cell.read(content["object"]["key"]) == video
        await cell.until_clean()


async def _answers(cell: Cell) -> bool:
    try:
        async with cell.http.get(f"{cell.url}/healthz") as response:
            return response.status == 200
    except OSError:
        return False
