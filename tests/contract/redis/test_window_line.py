"""Requests wait in line for room in a window, before their bodies are read."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.model import Upload
from pipeline.ports.recording import SegmentClaim
from pipeline.tasks import end_tasks
from pipeline.uploads import room as room_module
from pipeline.uploads.receive import SegmentReceipt
from tests.contract.redis.doors import SEGMENT, Door, opened
from tests.contract.redis.uploads import Play, until

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused because a busy machine was slow."""
    monkeypatch.setattr(room_module, "_WAIT_SECONDS", 120)


@pytest.fixture
async def door(play: Play, tmp_path: Path) -> Door:
    return await opened(play, tmp_path)


async def test_a_request_waits_a_moment_for_room(door: Door) -> None:
    for number in (2, 3):
        await door.send(number)
    waiting = asyncio.create_task(door.send(4))
    await asyncio.sleep(0)
    assert await door.store(2) == [True]
    await door.release.segment_stored(door.upload.upload_id, door.upload.plan, 2)
    assert not (await waiting).repeated
    assert await door.taken() == {3, 4}
    assert door.on_disk() == 2 * SEGMENT


async def test_a_limited_number_of_requests_wait_in_line(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are refused at once. Room for one segment lets one of them in."""
    door = await opened(play, tmp_path, count=30)
    for number in (2, 3):
        await door.send(number)
    claims: Counter[int] = Counter()
    claim = door.cell.record.claim_segment

    async def counted(upload: Upload, number: int, token: str, seconds: float) -> SegmentClaim:
        claims[number] += 1
        return await claim(upload, number, token, seconds)

    monkeypatch.setattr(door.cell.record, "claim_segment", counted)
    waiting = [asyncio.create_task(door.send(number)) for number in range(4, 24)]
    refused: list[asyncio.Task[SegmentReceipt]] = []

    async def all_in_line() -> bool:
        refused[:] = [task for task in waiting if task.done()]
        return len(refused) >= 4

    await until(all_in_line)
    assert len(refused) == 4, "16 wait"
    assert all(isinstance(task.exception(), RequestError) for task in refused)
    await door.store(2)
    await door.release.segment_stored(door.upload.upload_id, door.upload.plan, 2)
    await until(lambda: sum(task.done() for task in waiting) > len(refused))
    tried = Counter(claims)
    left = [number for number, task in enumerate(waiting, 4) if not task.done()]
    await until(lambda: all(claims[number] > tried[number] + 1 for number in left))
    await end_tasks(*waiting)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(result, SegmentReceipt) for result in results) == 1
    assert len(await door.taken()) == 2
    assert door.on_disk() == 2 * SEGMENT
