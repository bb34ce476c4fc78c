"""SIGTERM at work: workers finish or requeue their stages, gateways finish the requests in flight.

Both end within the grace period and with exit status 0. Requeued stages continue at once, without a take-over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.embedded.process import ChildProcess
from pipeline.adapters.redis.reads import hash_all, hash_get_many
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.holding import held_up
from tests.harness.media_samples import sample
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers
from tests.harness.slow_picture import slow_picture
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.e2e

_GRACE_SECONDS = 4.0
# For closing connections, on a busy machine.
_MARGIN_SECONDS = 12.0


def _video(segments: int) -> bytes:
    """A small video, padded with zeros to `segments` segments."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES, b"\0")


async def _told_to_stop(child: ChildProcess) -> float:
    """Send SIGTERM and wait for the end; the seconds it took."""
    began = time.monotonic()
    child.ask_to_stop()

    async def ended() -> bool:
        return child.pid is None

    await eventually(ended, 60, lambda: f"{child.name} to end")
    seconds = time.monotonic() - began
    child.stop()
    return seconds


async def _running(cell: Cell, kinds: Sequence[str], worker: str) -> list[str]:
    """Stages of these kinds that run on a worker according to the board."""
    found = []
    for upload_id in cell.uploads:
        for stage in kinds:
            fields = [f"stage.{stage}.state", f"stage.{stage}.worker"]
            state, where = await hash_get_many(cell.redis, cell.keys.upload(upload_id), fields)
            if state == "running" and str(where).endswith(worker):
                found.append(f"{upload_id} {stage}")
    return found


async def _takeovers(cell: Cell) -> list[str]:
    """Take-overs that the board has counted."""
    found = []
    for upload_id in cell.uploads:
        fields = await hash_all(cell.redis, cell.keys.upload(upload_id))
        found += [f"{name}: {value}" for name, value in fields.items() if name.endswith(".takeovers") and value != "0"]
    return found


async def _all_ready(cell: Cell, data: bytes) -> None:
    for upload_id in cell.uploads:
        content = await cell.content((await cell.until(upload_id, "ready", seconds=120))["content_id"])
        assert await cell.read(content["object"]["key"]) == data
    assert await _takeovers(cell) == []
    await cell.until_clean()


_STAGES = {"transfer": ("transfer", "seal"), "admission": ()}


@pytest.mark.parametrize("kind", ["admission", "transfer", "assemble", "probe", "thumbnail", "persist"])
async def test_a_worker_under_load_stops(servers: Servers, tmp_path: Path, kind: str) -> None:
    video = _video(8) if kind != "thumbnail" else slow_picture()
    digest = _announced(video) if kind == "assemble" else None
    stages = _STAGES.get(kind, (kind,))
    async with running_cell(servers, tmp_path, workers=apart(kind), shutdown_seconds=_GRACE_SECONDS) as cell:
        worker = cell.processes.child(f"worker-{kind}")
        uploads = [await cell.create(len(video), digest=digest) for _ in range(3 if kind == "thumbnail" else 6)]
        sending = asyncio.gather(*(cell.put_all(upload, video, at_once=2) for upload in uploads))

        async def has_begun() -> bool:
            events = await cell.redis.xrange(cell.keys.events)
            begun = {
                entry["upload_id"] for _, entry in events if entry["name"] in stages and entry["value"] == "running"
            }
            return len(begun) >= (2 if stages else 0)

        await eventually(has_begun, 60, lambda: f"{kind} to be at work")
        name = f":{worker.pid}"
        assert await _told_to_stop(worker) < _GRACE_SECONDS + _MARGIN_SECONDS
        assert worker.exit_status == 0
        assert await _running(cell, stages, name) == [], "unfinished stages were requeued"
        await sending
        worker.start()
        await _all_ready(cell, video)


def _announced(data: bytes) -> str:
    """The digest of the whole file, with which assemble has to read it."""
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


def _file_for(kind: str) -> bytes:
    """Its frame is not cheap if the thumbnail has to have a stage of its own."""
    return slow_picture() if kind == "thumbnail" else sample("mp4").read_bytes()


@pytest.mark.parametrize("kind", ["probe", "thumbnail", "persist"])
async def test_a_stage_that_does_not_end_within_the_grace_period_is_requeued(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    """The stage lease is so long that this test would fail if the stage had to be taken over."""
    video = _file_for(kind)
    async with running_cell(
        servers,
        tmp_path / "cell",
        workers=apart(kind),
        shutdown_seconds=_GRACE_SECONDS,
        stage_lease_seconds=600,
    ) as cell:
        worker = cell.processes.child(f"worker-{kind}")
        async with held_up(cell, kind):
            upload = await cell.create(len(video))
            await cell.put_all(upload, video)
            name = f":{worker.pid}"

            async def at_work() -> bool:
                return bool(await _running(cell, [kind], name))

            await eventually(at_work, 60, lambda: f"{kind} to be at work")
            seconds = await _told_to_stop(worker)
            assert _GRACE_SECONDS / 4 < seconds < _GRACE_SECONDS + _MARGIN_SECONDS
            assert worker.exit_status == 0
            view = await cell.status(upload["id"])
            assert view["stages"][kind]["state"] == "queued", view
        worker.start()
        await _all_ready(cell, video)


async def test_a_gateway_finishes_requests_in_flight_and_accepts_no_more(servers: Servers, tmp_path: Path) -> None:
    video = _video(4)
    async with running_cell(servers, tmp_path, shutdown_seconds=30) as cell:
        upload = await cell.create(len(video))
        path = f"/v1/uploads/{upload['id']}/segments"
        length = {"Content-Length": str(SEGMENT_BYTES)}
        gateway = cell.processes.child("gateway")
        async with connect(cell.url) as sending, connect(cell.url) as asking:
            await sending.begin("PUT", f"{path}/1", length, video[:1000])
            await asking.begin("GET", "/readyz", {})
            await asking.body(await asking.head())

            async def receiving() -> bool:
                async with cell.http.get(cell.processes.metrics_url("gateway")) as response:
                    return "sluice_receiving_segments 1.0" in await response.text()

            await eventually(receiving, 30, lambda: "the segment to be in flight")
            gateway.ask_to_stop()

            async def refused() -> bool:
                try:
                    async with connect(cell.url):
                        return False
                except ConnectionRefusedError:
                    return True
                except ConnectionError:  # the kernel had accepted it just before the socket was closed
                    return False

            await eventually(refused, 30, lambda: "new connections to be refused")
            await asking.begin("PUT", f"{path}/2", length, b"")
            head = await asking.head()
            assert (head.status, head.headers["connection"]) == (503, "close")
            assert int(head.headers["retry-after"]) >= 1
            assert (await asking.body(head))["error"]["code"] == "GATEWAY_BUSY"
            assert gateway.pid is not None, "a segment is still in flight"

            await sending.send(video[1000:SEGMENT_BYTES])
            head = await sending.head()
            assert (head.status, head.headers["connection"]) == (200, "close")
            assert (await sending.body(head))["data"]["upload_status"] == "receiving"
        await _told_to_stop(gateway)
        assert gateway.exit_status == 0
        gateway.start()
        await cell.until_answered()
        assert (await cell.status(upload["id"]))["missing_segments"] == [[2, 4]]
        await cell.put_all(upload, video)
        await _all_ready(cell, video)


async def test_a_gateway_does_not_wait_for_a_client_that_has_stopped_sending(servers: Servers, tmp_path: Path) -> None:
    video = _video(2)
    async with running_cell(servers, tmp_path, shutdown_seconds=2, segment_stall_seconds=300) as cell:
        upload = await cell.create(len(video))
        gateway = cell.processes.child("gateway")
        async with connect(cell.url) as sending:
            headers = {"Content-Length": str(SEGMENT_BYTES)}
            await sending.begin("PUT", f"/v1/uploads/{upload['id']}/segments/1", headers, os.urandom(1000))
            assert await _told_to_stop(gateway) < 2 + _MARGIN_SECONDS
        assert gateway.exit_status == 0
        gateway.start()
        await cell.until_answered()
        await cell.put_all(upload, video)
        await _all_ready(cell, video)
