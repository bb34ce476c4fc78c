"""Redis loses its last second, or everything, in the middle of uploads that hold a part of their files only."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from deploy.embedded import EmbeddedStack
from tests.harness.cell import Cell, eventually, hash_get
from tests.harness.losses import LastSeconds, recover
from tests.harness.media_samples import long_video
from tests.harness.running import apart, running_cell
from tests.harness.windows import Sender, disk_bytes, parts_of, sampled

pytestmark = pytest.mark.e2e

MEBIBYTE = 1024 * 1024
BUDGET = 4 * MEBIBYTE
GIANT = {"filename": "giant.mkv", "content_type": "video/x-matroska"}


async def has_stored(cell: Cell, upload_id: str, size_bytes: int) -> bool:
    return int(await hash_get(cell.redis, cell.keys.upload(upload_id), "bytes_stored") or 0) >= size_bytes


async def is_content(cell: Cell, upload_id: str, data: bytes) -> bool:
    return await cell.read((await cell.content(upload_id))["object"]["key"]) == data


async def test_redis_loses_everything_during_windowed_uploads(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """And during a whole one, which had released a part of its file."""
    giants = [long_video(9 * MEBIBYTE, seed=number) for number in (1, 2)]
    whole = long_video(900_000, seed=3)
    async with (
        running_cell(own_servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem") as cell,
        sampled(cell) as samples,
    ):
        slow = await cell.create(len(whole), **GIANT)
        for number in range(1, slow["segment_count"]):
            assert (await cell.put(slow, number, whole))[0] == 200
        await eventually(partial(has_released, cell, slow["id"]), 60, lambda: "some of the whole file to be released")
        uploads = [await cell.create(len(data), **GIANT) for data in giants]
        senders = [Sender(cell, upload, parts_of(upload, data)) for upload, data in zip(uploads, giants, strict=True)]
        sending = [asyncio.create_task(sender.until_ready()) for sender in senders]
        await eventually(partial(has_stored, cell, uploads[0]["id"], 4 * MEBIBYTE), 60, lambda: "half", 0.002)
        await cell.redis.flushall()
        await eventually(partial(is_lost, cell, slow["id"]), 30, lambda: "the gateway to notice")
        said = {item["upload_id"]: item for item in await recover(cell)}
        assert said[slow["id"]]["missing"] == [[slow["segment_count"]] * 2], "what was released is in the store"
        assert said[slow["id"]]["segments"] == slow["segment_count"] - 1
        sending.append(asyncio.create_task(Sender(cell, slow, parts_of(slow, whole)).until_ready()))
        await asyncio.wait_for(asyncio.gather(*sending), 120)
        for upload, data in zip([*uploads, slow], [*giants, whole], strict=True):
            assert await is_content(cell, upload["id"], data)
        again = [number for sender in senders for number, count in sender.accepted.items() if count > 1]
        assert len(again) <= 16, "what the store has is not sent again"
        samples.require_within(BUDGET, files=3)
        await cell.until_clean()


async def test_recovery_reports_what_is_missing_and_removes_what_nothing_accounts_for(
    own_servers: EmbeddedStack, tmp_path: Path
) -> None:
    data = long_video(8 * MEBIBYTE, seed=4)
    async with running_cell(
        own_servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem", workers=apart("transfer")
    ) as cell:
        upload = await cell.create(len(data), **GIANT)
        size, count = upload["segment_size"], upload["segment_count"]
        for number in range(1, 7):
            assert (await cell.put(upload, number, data))[0] == 200

        async def released() -> bool:
            freed = await hash_get(cell.redis, cell.keys.upload(upload["id"]), "bytes_released")
            return freed == str(6 * size) and disk_bytes(cell) < size

        await eventually(released, 60, lambda: "six segments to be released")
        cell.processes.child("worker-transfer").stop()
        for number in (7, 8):
            assert (await cell.put(upload, number, data))[0] == 200
        cell.processes.child("gateway").stop(signal.SIGKILL)
        with (cell.settings.temp_dir / f"{upload['id']}.data").open("r+b") as file:
            file.seek(20 * size)
            file.write(data[20 * size : 20 * size + size // 2])  # a gateway died at work
        await cell.redis.flushall()
        (said,) = await recover(cell)
        assert (said["segments"], said["missing"]) == (8, [[9, count]])
        assert 2 * size <= disk_bytes(cell) < 3 * size
        volume = cell.keys.volume(cell.settings.volume)
        journal = (cell.settings.temp_dir / f"{upload['id']}.journal").stat().st_blocks * 512
        assert await hash_get(cell.redis, volume, "backed_bytes") == str(2 * size + journal)
        for name in ("gateway", "worker-transfer"):
            cell.processes.child(name).start()
        sender = Sender(cell, upload, parts_of(upload, data))
        await asyncio.wait_for(sender.until_ready(), 60)
        assert set(sender.sent) == set(range(9, count + 1))
        assert await is_content(cell, upload["id"], data)
        await cell.until_clean()


@pytest.mark.parametrize("seed", [1, 2])
async def test_redis_loses_its_last_second_during_windowed_uploads(
    own_servers: EmbeddedStack, tmp_path: Path, seed: int
) -> None:
    giants = [long_video(9 * MEBIBYTE, seed=10 * seed + number) for number in (1, 2)]
    last_seconds = LastSeconds(own_servers, tmp_path)
    async with running_cell(own_servers, tmp_path, temp_budget_bytes=BUDGET, store="filesystem") as cell:
        uploads = [await cell.create(len(data), **GIANT) for data in giants]
        sending = [
            asyncio.create_task(Sender(cell, upload, parts_of(upload, data)).until_ready())
            for upload, data in zip(uploads, giants, strict=True)
        ]
        await eventually(partial(has_stored, cell, uploads[0]["id"], 2 * MEBIBYTE), 60, lambda: "a part", 0.002)
        await last_seconds.begin(cell)
        await eventually(partial(has_stored, cell, uploads[0]["id"], 5 * MEBIBYTE), 60, lambda: "half", 0.002)
        last_seconds.lose()
        await asyncio.wait_for(asyncio.gather(*sending), 120)
        for upload, data in zip(uploads, giants, strict=True):
            assert await is_content(cell, upload["id"], data)
        await cell.until_clean()


async def has_released(cell: Cell, upload_id: str) -> bool:
    return int(await hash_get(cell.redis, cell.keys.upload(upload_id), "bytes_released") or 0) > 0


async def is_lost(cell: Cell, upload_id: str) -> bool:
    status, body, _ = await cell.call("GET", f"/v1/uploads/{upload_id}")
    return status == 503 and body["error"]["code"] == "UPLOAD_RECOVERING"
