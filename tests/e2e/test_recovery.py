"""Redis loses its last second, or everything; nothing that was acknowledged is lost with it."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.holding import held_up
from tests.harness.losses import LastSeconds, recover
from tests.harness.media_samples import sample
from tests.harness.running import running_cell

pytestmark = pytest.mark.e2e


def video(number: int) -> bytes:
    """A video of a few segments, different for each number: a `free` box of random bytes follows the sample."""
    body = random.Random(number).randbytes(3 * SEGMENT_BYTES)
    return sample("mp4").read_bytes() + (len(body) + 8).to_bytes(4, "big") + b"free" + body


async def send_until_ready(cell: Cell, upload: dict[str, Any], data: bytes, lost: asyncio.Event) -> dict[str, Any]:
    """A client that asks which segments are missing and sends them, until the upload is ready. What Redis has lost of
    an upload that waits is gone, so the client creates it again; it has sent nothing yet."""
    was = upload["status"]
    while True:
        status, body, _ = await cell.call("GET", f"/v1/uploads/{upload['id']}")
        if status == 503:
            assert body["error"]["code"] == "UPLOAD_RECOVERING", body
            lost.set()
        elif status == 404:
            assert was == "waiting", "nothing that was admitted is lost"
            new = {name: upload[name] for name in ("filename", "size", "content_type")}
            status, body, _ = await cell.call("POST", "/v1/uploads", json=new)
            assert status == 201 or body["error"]["code"] == "VOLUME_RECOVERING", body
            if status == 201:
                upload.update(body["data"])
        else:
            assert status == 200, body
            view: dict[str, Any] = body["data"]
            was = view["status"]
            if was == "ready":
                return view
            assert view["status"] in ("waiting", "admitted", "receiving", "processing"), view
            if view["status"] in ("admitted", "receiving"):
                for first, last in view["missing_segments"]:
                    for number in range(first, last + 1):
                        status, body, _ = await cell.put(upload, number, data)
                        assert status in (200, 201, 409, 503), body
        await asyncio.sleep(0.02)


async def test_redis_loses_everything_during_twenty_uploads(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    videos = [video(number) for number in range(20)]
    budget = 8 * max(map(len, videos))
    async with running_cell(own_servers, tmp_path, temp_budget_bytes=budget) as cell:
        uploads = [await cell.create(len(data)) for data in videos]
        registered = {upload["id"] for upload in uploads}
        lost = asyncio.Event()
        clients = [
            asyncio.create_task(send_until_ready(cell, upload, data, lost))
            for upload, data in zip(uploads[1:], videos[1:], strict=True)
        ]

        async def some_are_through() -> bool:
            return any(client.done() for client in clients)

        await eventually(some_are_through, 60, lambda: "the first upload to be ready")
        await cell.redis.flushall()
        # The first one was admitted and has sent nothing yet: there is an upload to lose, however quick others were.
        clients.append(asyncio.create_task(send_until_ready(cell, uploads[0], videos[0], lost)))
        await asyncio.wait_for(lost.wait(), 30)
        status, body, _ = await cell.call("GET", "/readyz")
        assert (status, "sluice recover" in json.dumps(body)) == (503, True), body
        new = {"filename": "a.mp4", "size": 1, "content_type": "video/mp4"}
        _, body, _ = await cell.call("POST", "/v1/uploads", json=new, expect=503)
        assert body["error"]["code"] == "VOLUME_RECOVERING", "nothing is admitted before the volume is recovered"

        said = await recover(cell)
        assert {item["upload_id"] for item in said} <= registered
        assert uploads[0]["id"] in {item["upload_id"] for item in said}
        assert all(item["rebuilt"] for item in said)
        await asyncio.wait_for(asyncio.gather(*clients), 120)

        for upload, data in zip(uploads, videos, strict=True):
            content = await cell.content(upload["id"])
            assert await cell.read(content["object"]["key"]) == data
        _, listed, _ = await cell.call("GET", "/v1/contents?limit=100", expect=200)
        assert sorted(item["id"] for item in listed["data"]["items"]) == sorted(item["id"] for item in uploads)
        assert await recover(cell) == [], "a second run has nothing to repair"
        await cell.until_clean()


async def test_recovery_requests_segments_that_changed_on_the_disk_again(
    own_servers: EmbeddedStack, tmp_path: Path
) -> None:
    data = video(1)
    async with running_cell(own_servers, tmp_path, workers={}) as cell:
        upload = await cell.create(len(data))
        for number in (1, 2):
            await cell.put(upload, number, data)
        later = await cell.create(len(data), filename="later.mp4", metadata={"of": "mine"})
        file = next(cell.settings.temp_dir.glob(f"{upload['id']}.data"))
        with file.open("r+b") as opened:
            opened.seek(SEGMENT_BYTES + 5)
            byte = opened.read(1)
            opened.seek(SEGMENT_BYTES + 5)
            opened.write(bytes([byte[0] ^ 1]))
        await cell.redis.flushall()
        said = {item["upload_id"]: item for item in await recover(cell)}
        assert set(said) == {upload["id"], later["id"]}
        assert said[upload["id"]]["segments"] == 1
        assert said[upload["id"]]["missing"] == [[2, upload["segment_count"]]]
        view = await cell.status(upload["id"])
        assert (view["status"], view["missing_segments"]) == ("receiving", [[2, upload["segment_count"]]])
        assert (await cell.status(later["id"]))["metadata"] == {"of": "mine"}
        for item in (upload, later):
            await cell.call("DELETE", f"/v1/uploads/{item['id']}", expect=200)


async def test_redis_loses_its_last_second(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """After a fail-over Redis knows an earlier state of an upload, or nothing, or counts an ended one as alive."""
    first, second, text = video(2), video(3), b"no media at all " * (SEGMENT_BYTES // 8)
    last_seconds = LastSeconds(own_servers, tmp_path)
    async with running_cell(own_servers, tmp_path) as cell:
        one = await cell.create(len(first))
        await cell.put(one, 1, first)
        gone, wrong = await cell.create(len(second)), await cell.create(len(text))
        await last_seconds.begin(cell)
        await cell.call("DELETE", f"/v1/uploads/{gone['id']}", expect=200)
        for number in range(2, one["segment_count"] + 1):
            await cell.put(one, number, first)
        two = await cell.create(len(second))
        await cell.put_all(two, second)
        done = await cell.upload(video(4))
        await cell.put_all(wrong, text)
        await cell.until(wrong["id"], "failed")
        last_seconds.lose()

        for upload, data in ((one, first), (two, second)):
            await eventually(partial(_answers, cell, upload["id"]), 60, lambda: "the gateway to know the upload")
            view = await cell.until(upload["id"], "ready")
            assert await cell.read((await cell.content(view["content_id"]))["object"]["key"]) == data
        # What the clients know remains true.
        await cell.until(done["id"], "ready")
        await cell.until(gone["id"], "cancelled")
        assert (await cell.until(wrong["id"], "failed"))["error"]["code"] == "NOT_MEDIA"
        await cell.until_clean()


async def test_stored_segments_unknown_to_redis_are_removed(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """The client cancels before the upload is recovered, and according to Redis transfer has never run."""
    data = video(5)
    last_seconds = LastSeconds(own_servers, tmp_path)
    workers = {f"worker-{kind}": [kind] for kind in ("transfer", "admission")}
    async with running_cell(own_servers, tmp_path, workers=workers) as cell:
        admission = cell.processes.child("worker-admission")
        upload = await cell.create(len(data))
        admission.stop(signal.SIGKILL)
        await last_seconds.begin(cell)
        for number in (1, 2):
            await cell.put(upload, number, data)

        async def stored() -> bool:
            return sum(upload["id"] in key for key in await cell.stored_keys()) == 2

        await eventually(stored, 60, lambda: "two segments to be stored")
        last_seconds.lose()
        assert (await cell.status(upload["id"]))["bytes_stored"] == 0
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        admission.start()
        await cell.until_clean()


async def test_a_content_is_kept_although_its_recovered_upload_expires(
    own_servers: EmbeddedStack, tmp_path: Path
) -> None:
    """Redis loses everything, and the journal lacks the end, since the worker that writes it was killed."""
    data = video(6)
    async with running_cell(own_servers, tmp_path, lease_seconds=20) as cell:
        upload = await cell.create(len(data))
        journal = cell.settings.temp_dir / f"{upload['id']}.journal"
        async with held_up(cell, "persist"):
            await cell.put_all(upload, data)

            async def persists() -> bool:
                return bool((await cell.status(upload["id"]))["stages"]["persist"]["state"] == "running")

            await eventually(persists, 60, lambda: "persist to run")
            noted = journal.read_bytes()
        await cell.until(upload["id"], "ready")
        await eventually(partial(_is_released, cell, upload["id"]), 60, lambda: "its temp file to be gone")
        worker = cell.processes.child("worker-all")
        worker.stop(signal.SIGKILL)
        journal.with_suffix(".journal-ended").unlink()
        journal.write_bytes(noted)
        await cell.redis.flushall()
        (said,) = await recover(cell)
        assert said["status"] in ("admitted", "receiving", "waiting"), "its bytes are gone from the temp volume"
        worker.start()

        async def ready_again() -> bool:
            return bool((await cell.status(upload["id"]))["status"] == "ready")

        await eventually(ready_again, 60, lambda: "the content to be known again")
        key = (await cell.content(upload["id"]))["object"]["key"]
        assert await cell.read(key) == data
        await cell.until_clean()


async def _answers(cell: Cell, upload_id: str) -> bool:
    status, _, _ = await cell.call("GET", f"/v1/uploads/{upload_id}")
    return status == 200


async def _is_released(cell: Cell, upload_id: str) -> bool:
    return bool(await hash_get(cell.redis, cell.keys.upload(upload_id), "released_at_ms"))
