"""Files larger than the temp volume pass through a window: every byte arrives, and the budget is never exceeded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cell import Cell, eventually, hash_get
from tests.harness.media_samples import long_video
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers
from tests.harness.windows import Sender, disk_bytes, parts_of, sampled

pytestmark = pytest.mark.e2e

MEBIBYTE = 1024 * 1024
BUDGET = 4 * MEBIBYTE
GIANT = {"filename": "giant.mkv", "content_type": "video/x-matroska"}


async def content_of(cell: Cell, view: Mapping[str, Any]) -> bytes:
    return await cell.read((await cell.content(view["content_id"]))["object"]["key"])


async def finished(cell: Cell, sender: Sender, data: bytes) -> None:
    view = await asyncio.wait_for(sender.until_ready(), 120)
    assert await content_of(cell, view) == data


def sender(cell: Cell, upload: Mapping[str, Any], data: bytes, at_once: int = 4) -> Sender:
    return Sender(cell, upload, parts_of(upload, data), at_once)


@pytest.mark.parametrize("store", ["filesystem", "swift"])
async def test_a_file_larger_than_the_budget(servers: Servers, tmp_path: Path, store: str) -> None:
    # Swift sends segments of less than 1 MiB at one a second.
    scale = 8 if store == "swift" else 1
    data, budget = long_video((5 * scale + 4) * MEBIBYTE + 777, seed=1), scale * BUDGET
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget, store=store, segment_bytes=MEBIBYTE) as cell:
        async with sampled(cell) as samples:
            upload = await cell.create(len(data), **GIANT)
            await finished(cell, sender(cell, upload, data), data)
        samples.require_within(budget, files=1)
        content = await cell.content(upload["id"])
        assert content["media"]["kind"] == "video"
        assert content["thumbnail"] is not None
        await cell.until_clean()


async def test_a_file_larger_than_the_budget_in_s3(servers: Servers, tmp_path: Path) -> None:
    """Its parts have 5 MiB at least, and cannot be read before the upload is complete."""
    data = long_video(38 * MEBIBYTE, seed=2)
    budget = 16 * MEBIBYTE
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget, store="s3") as cell:
        async with sampled(cell) as samples:
            upload = await cell.create(len(data), **GIANT)
            assert upload["segment_size"] >= 5 * MEBIBYTE
            await finished(cell, sender(cell, upload, data), data)
        samples.require_within(budget, files=1)
        await cell.until_clean()


async def test_many_uploads_through_a_small_budget(servers: Servers, tmp_path: Path) -> None:
    """Giants, whole files and photos; no upload waits for an empty disk."""
    sizes = [3 * MEBIBYTE, 9 * MEBIBYTE, 700_000] * 5
    files = [long_video(size, seed=number) for number, size in enumerate(sizes)]
    async with running_cell(servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem") as cell:
        async with sampled(cell) as samples:
            uploads = [await cell.create(len(data), **GIANT) for data in files]
            senders = [sender(cell, upload, data) for upload, data in zip(uploads, files, strict=True)]
            await asyncio.gather(*(finished(cell, one, data) for one, data in zip(senders, files, strict=True)))
        samples.require_within(BUDGET, files=len(files))
        await cell.until_clean()


@pytest.mark.parametrize("killed", ["transfer", "gateway", "admission"])
async def test_a_process_is_killed_in_the_middle_of_a_windowed_upload(
    servers: Servers, tmp_path: Path, killed: str
) -> None:
    data = long_video(12 * MEBIBYTE, seed=3)
    workers = apart(killed) if killed != "gateway" else apart("transfer")
    async with (
        running_cell(
            servers, tmp_path, workers=workers, temp_budget_bytes=BUDGET, store="filesystem", stage_lease_seconds=2
        ) as cell,
        sampled(cell) as samples,
    ):
        upload = await cell.create(len(data), **GIANT)
        sending = asyncio.create_task(sender(cell, upload, data).until_ready())
        child = cell.processes.child("gateway" if killed == "gateway" else f"worker-{killed}")
        for third in (1, 2):

            async def under_way(bytes_stored: int = third * len(data) // 3) -> bool:
                stored = await hash_get(cell.redis, cell.keys.upload(upload["id"]), "bytes_stored")
                return int(stored or 0) > bytes_stored or sending.done()

            await eventually(under_way, 60, lambda: "some of the file to be stored", 0.002)
            child.stop(signal.SIGKILL)
            child.start()
        view = await asyncio.wait_for(sending, 120)
        await cell.until_answered()  # the upload may have been complete when the gateway was killed
        assert await content_of(cell, view) == data
        samples.require_within(BUDGET, files=1)
        await cell.until_clean()


async def put_expecting(cell: Cell, upload: Mapping[str, Any], number: int) -> bytes:
    """The first bytes of the response to a client that waits for permission to send its body."""
    host, port = cell.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = [
        f"PUT /v1/uploads/{upload['id']}/segments/{number} HTTP/1.1",
        f"Host: {host}",
        f"Content-Length: {upload['segment_size']}",
        "Expect: 100-continue",
    ]
    try:
        writer.write("\r\n".join([*head, "", ""]).encode())
        return await asyncio.wait_for(reader.read(4096), 30)
    finally:
        writer.close()


async def test_a_segment_without_room_is_refused_before_its_body(servers: Servers, tmp_path: Path) -> None:
    """And the part of the window that the reader may need stays free."""
    data = long_video(12 * MEBIBYTE, seed=4)
    async with running_cell(
        servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem", workers=apart("transfer")
    ) as cell:
        cell.processes.child("worker-transfer").stop()
        cell.processes.child("worker-rest").stop()
        upload = await cell.create(len(data), **GIANT)
        window = BUDGET // 4 // upload["segment_size"]
        accepted = 0
        for number in range(2, window + 2):
            status, body, headers = await cell.put(upload, number, data)
            if status != 200:
                break
            accepted += 1
        assert (status, body["error"]["code"]) == (503, "SEGMENT_WINDOW_FULL")
        assert int(headers["Retry-After"]) >= 1
        assert accepted == window - 3
        before = disk_bytes(cell)
        answer = await put_expecting(cell, upload, 70)
        assert b"503" in answer.split(b"\r\n")[0], answer
        assert b"100 Continue" not in answer
        assert b"retry-after" in answer.lower()
        assert disk_bytes(cell) == before < (accepted + 1) * upload["segment_size"]
        status, body, _ = await cell.put(upload, 1, data)
        assert status == 200, "the reader needs the first segment"
        for name in ("worker-transfer", "worker-rest"):
            cell.processes.child(name).start()
        await finished(cell, sender(cell, upload, data), data)
        await cell.until_clean()


async def test_a_client_that_asks_for_room_keeps_its_upload(servers: Servers, tmp_path: Path) -> None:
    """One whose client has gone expires, and all of it is removed."""
    data = long_video(8 * MEBIBYTE, seed=5)
    async with running_cell(
        servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem", workers=apart("transfer"), lease_seconds=10
    ) as cell:
        cell.processes.child("worker-transfer").stop()
        upload, gone = await cell.create(len(data), **GIANT), await cell.create(len(data), **GIANT)
        for one in (upload, gone):
            assert (await cell.put(one, 2, data))[0] == 200
            assert (await cell.put(one, 3, data))[0] == 200
        sending = asyncio.create_task(sender(cell, upload, data).until_ready())
        await cell.until(gone["id"], "expired")
        view = await cell.status(upload["id"])
        assert view["status"] == "receiving", "no segment could be sent, but its client is there"
        cell.processes.child("worker-transfer").start()
        assert await content_of(cell, await asyncio.wait_for(sending, 60)) == data
        await cell.until_clean()


async def test_a_whole_upload_releases_what_is_stored_and_read(servers: Servers, tmp_path: Path) -> None:
    """Its client is slow; the next upload is admitted with the bytes that it no longer needs."""
    data, other = long_video(3 * MEBIBYTE, seed=6), long_video(3 * MEBIBYTE, seed=7)
    async with (
        running_cell(servers, tmp_path, temp_budget_bytes=BUDGET, temp_share=1, store="filesystem") as cell,
        sampled(cell) as samples,
    ):
        upload = await cell.create(len(data), **GIANT)
        count = upload["segment_count"]
        for number in range(1, count):
            assert (await cell.put(upload, number, data))[0] == 200
        waiting = await cell.create(len(other), **GIANT)
        await cell.until(waiting["id"], "admitted")
        await finished(cell, sender(cell, waiting, other), other)
        await finished(cell, sender(cell, upload, data), data)
        samples.require_within(BUDGET, files=2)
        await cell.until_clean()


async def test_a_windowed_upload_is_cancelled(servers: Servers, tmp_path: Path) -> None:
    data = long_video(12 * MEBIBYTE, seed=8)
    async with running_cell(servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem") as cell:
        upload = await cell.create(len(data), **GIANT)
        for number in range(1, 40):
            await cell.put(upload, number, data)
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        await cell.until_clean()
