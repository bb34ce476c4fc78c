"""Processes that are killed at work: their stages are taken over, and nothing is lost or left behind.

How long a take-over takes is read from the board's event stream, whose ids are the time by Redis' clock.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.cli.processes import SEPARATE
from deploy.embedded import EmbeddedStack
from pipeline.adapters.redis.reads import hash_all
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.disks import faulty_disk
from tests.harness.holding import held_up, killed_at_work
from tests.harness.media_samples import sample
from tests.harness.outages import frozen
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers
from tests.harness.slow_picture import slow_picture

pytestmark = pytest.mark.e2e

_UPLOADS = 20
_TAKEOVER_MS = 30_000


def _video(segments: int = 8) -> bytes:
    """A small video, padded with zeros to `segments` segments: quick to probe."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES, b"\0")


async def _stored_segments(cell: Cell) -> int:
    return sum([int((await cell.status(upload_id))["bytes_stored"]) for upload_id in cell.uploads]) // SEGMENT_BYTES


async def _now_ms(cell: Cell) -> int:
    seconds, microseconds = await cell.redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def _running(cell: Cell, pid: int) -> set[tuple[str, str]]:
    """(upload, stage) of all that this process runs according to the board."""
    found = set()
    for upload_id in cell.uploads:
        fields = await hash_all(cell.redis, cell.keys.upload(upload_id))
        for name, value in fields.items():
            stage = name.removeprefix("stage.").removesuffix(".state")
            if name.endswith(".state") and value == "running" and fields[f"stage.{stage}.worker"].endswith(f":{pid}"):
                found.add((upload_id, stage))
    return found


async def _taken_over_ms(cell: Cell, dead: set[tuple[str, str]], since_ms: int) -> dict[tuple[str, str], int]:
    """When each of them ran again, in milliseconds from `since_ms`; those that have not are missing."""
    found: dict[tuple[str, str], int] = {}
    for entry_id, entry in await cell.redis.xrange(cell.keys.events, min=f"{since_ms}-0"):
        key = entry["upload_id"], entry["name"]
        if entry["kind"] == "stage" and entry["value"] == "running" and key in dead:
            found.setdefault(key, int(entry_id.partition("-")[0]) - since_ms)
    return found


async def _takeovers(cell: Cell, stages: set[tuple[str, str]]) -> list[int]:
    """The number of take-overs that the board has counted for each of them."""
    names = [(cell.keys.upload(upload_id), f"stage.{stage}.takeovers") for upload_id, stage in sorted(stages)]
    return [int(await hash_get(cell.redis, key, name) or 0) for key, name in names]


async def _all_ready(cell: Cell, data: bytes) -> None:
    for upload_id in cell.uploads:
        content = await cell.content((await cell.until(upload_id, "ready", seconds=120))["content_id"])
        assert await cell.read(content["object"]["key"]) == data
    await cell.until_clean()


async def _insistently(cell: Cell, upload: Mapping[str, Any], data: bytes) -> None:
    """Send every segment, and retry whenever the gateway does not accept it."""
    for number in range(1, upload["segment_count"] + 1):

        async def taken(number: int = number) -> bool:
            try:
                status, body, _ = await cell.put(upload, number, data)
            except (aiohttp.ClientError, OSError):
                return False
            assert status in (200, 503), body
            return status == 200

        await eventually(taken, 90, lambda: f"segments of {upload['id']} to be accepted", every_seconds=0.2)


async def test_the_only_worker_is_killed_during_twenty_uploads(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """The store hangs at that moment, so that no transfer ends before its worker does."""
    video = _video()
    async with running_cell(own_servers, tmp_path) as cell:
        uploads = [await cell.create(len(video)) for _ in range(_UPLOADS)]
        first = asyncio.gather(*(_put(cell, upload, range(1, 8), video) for upload in uploads))

        async def under_way() -> bool:
            return await _stored_segments(cell) >= 20

        await eventually(under_way, 60, lambda: "transfers to be in progress")
        worker = cell.processes.child("worker-all")
        with frozen(own_servers, "proxy-server"):
            await first
            await asyncio.gather(*(_put(cell, upload, [8], video) for upload in uploads))
            dead = await killed_at_work([worker], partial(_running, cell))
        since_ms = await _now_ms(cell)
        worker.start()

        async def taken_over() -> bool:
            return bool(await _taken_over_ms(cell, dead, since_ms))

        await eventually(taken_over, 60, lambda: "a stage to run again")
        assert min((await _taken_over_ms(cell, dead, since_ms)).values()) < _TAKEOVER_MS
        await _all_ready(cell, video)
        assert all(count >= 1 for count in await _takeovers(cell, dead))


async def _put(cell: Cell, upload: Mapping[str, Any], numbers: Iterable[int], data: bytes) -> None:
    """Send these segments, one after another."""
    for number in numbers:
        status, body, _ = await cell.put(upload, number, data)
        assert status in (200, 201), body


@pytest.mark.parametrize("kind", ["transfer", "assemble", "probe", "thumbnail", "persist"])
async def test_a_worker_is_killed_at_work_and_another_takes_over(servers: Servers, tmp_path: Path, kind: str) -> None:
    """Of two workers of one type, the survivor takes over the stages of the other."""
    video = _video(2) if kind != "thumbnail" else slow_picture()  # whose frame is a stage of its own
    async with AsyncExitStack() as exits:
        disk = exits.enter_context(faulty_disk(tmp_path / "disk"))
        cell = await exits.enter_async_context(
            running_cell(servers, tmp_path / "cell", workers=apart(kind, count=2), temp_dir=str(disk.point))
        )
        upload = await cell.create(len(video), digest=_announced(video))
        async with held_up(cell, kind, disk):
            sending = asyncio.create_task(cell.put_all(upload, video))
            since_ms = 0

            async def running(pid: int) -> set[tuple[str, str]]:
                nonlocal since_ms
                since_ms = await _now_ms(
                    cell
                )  # before the kill: a process that waits for the disk may need seconds to die
                return await _running(cell, pid)

            children = [cell.processes.child(name) for name in (f"worker-{kind}", f"worker-{kind}-2")]
            dead = await killed_at_work(children, running)

            async def taken_over() -> bool:
                return len(await _taken_over_ms(cell, dead, since_ms)) == len(dead)

            await eventually(taken_over, 60, lambda: f"{dead} to run again")
            assert max((await _taken_over_ms(cell, dead, since_ms)).values()) < _TAKEOVER_MS
            assert await _takeovers(cell, dead) == [1] * len(dead)
        await sending
        await _all_ready(cell, video)


async def test_an_admission_worker_is_killed_while_uploads_wait(servers: Servers, tmp_path: Path) -> None:
    """The second admission worker admits the waiting uploads; there is room for one at a time."""
    video = _video()
    workers = apart("admission", count=2)
    budget = len(video) + 32 * 1024  # with its journal
    async with running_cell(servers, tmp_path, workers=workers, temp_budget_bytes=budget, temp_share=1) as cell:
        uploads = [await cell.create(len(video)) for _ in range(4)]
        assert [upload["status"] for upload in uploads] == ["admitted", *["waiting"] * 3]
        cell.processes.child("worker-admission").stop(signal.SIGKILL)
        for upload in uploads:
            await cell.until(upload["id"], "admitted")
            await cell.put_all(upload, video)
        await _all_ready(cell, video)


async def test_a_hanging_store_does_not_delay_a_take_over(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """The worker that takes over also cleans up ended uploads; waiting for the store does not delay take-overs."""
    video = _video()
    async with running_cell(own_servers, tmp_path, workers=apart("transfer")) as cell:
        ended, alive = [await cell.create(len(video)) for _ in range(2)]
        await cell.put(ended, 1, video)

        async def stored() -> bool:
            return int((await cell.status(ended["id"]))["bytes_stored"]) > 0

        await eventually(stored, 60, lambda: "a segment to be stored")
        with frozen(own_servers, "proxy-server"):
            await cell.call("DELETE", f"/v1/uploads/{ended['id']}", expect=200)
            await cell.put(alive, 1, video)
            lease = f"{cell.keys.prefix}stage-leases"

            async def transferring() -> bool:
                view = await cell.status(alive["id"])
                return bool(view["stages"]["transfer"]["state"] == "running")

            await eventually(transferring, 60, lambda: "a transfer to hang")
            [held] = [
                item for item in await cell.redis.zrange(lease, 0, -1) if item.startswith(f"{alive['id']}|transfer|")
            ]
            cell.processes.child("worker-transfer").stop(signal.SIGKILL)

            async def lease_is_taken() -> bool:
                return held not in await cell.redis.zrange(lease, 0, -1)

            await eventually(lease_is_taken, 30, lambda: "the dead run's lease to be taken")
        cell.processes.child("worker-transfer").start()
        await cell.put_all(alive, video)
        await cell.until(alive["id"], "ready")
        await cell.until_clean()


async def test_a_gateway_is_killed_while_it_receives_a_segment(servers: Servers, tmp_path: Path) -> None:
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
        await cell.until_answered()
        assert (await cell.status(upload["id"]))["missing_segments"] == [[1, 8]]
        await cell.put_all(upload, video)
        await _all_ready(cell, video)


async def test_all_processes_are_killed_at_once(servers: Servers, tmp_path: Path) -> None:
    """The gateway and a worker of each type are killed at the same moment, and all start again."""
    video = _video()
    async with running_cell(servers, tmp_path, workers=SEPARATE) as cell:
        uploads = [await cell.create(len(video)) for _ in range(8)]
        sending = asyncio.gather(*(_insistently(cell, upload, video) for upload in uploads))
        children = [cell.processes.child(name) for name in cell.processes.pids()]
        pids = [child.pid or 0 for child in children]

        async def under_way() -> bool:
            return await _stored_segments(cell) >= 16

        await eventually(under_way, 60, lambda: "uploads to be in progress")
        for child in children:
            child.ask_to_stop(signal.SIGKILL)
        for child in children:
            child.stop(signal.SIGKILL)
        dead = set().union(*[await _running(cell, pid) for pid in pids])
        for child in children:
            child.start()
        await cell.until_answered()
        await sending
        await _all_ready(cell, video)
        assert all(count >= 1 for count in await _takeovers(cell, dead))


def _announced(data: bytes) -> str:
    """The digest of the whole file, with which assemble has to read it."""
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"
