"""Admission with real processes: twenty uploads at once on a temp volume that holds three."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.core.windows import on_disk_bytes
from pipeline.tasks import end_tasks
from tests.harness.blocks import occupied_by_uploads
from tests.harness.cell import Cell, eventually, hash_get
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_UPLOADS = 20
# No less than what the journal of such an upload takes of the budget.
_JOURNAL_BYTES = 32 * 1024


async def _sample_volume(cell: Cell, budget_bytes: int, samples: list[tuple[int, int]]) -> None:
    """Sample reserved bytes and bytes on disk, with those of the filesystem's maps, until cancelled."""
    volume = cell.keys.volume(cell.settings.volume)
    while True:
        reserved = int(await hash_get(cell.redis, volume, "reserved_bytes") or 0)
        on_disk, _ = occupied_by_uploads(cell.settings.temp_dir)
        samples.append((reserved, on_disk.data_bytes + on_disk.map_bytes))
        await asyncio.sleep(0.002)


async def test_twenty_uploads_through_room_for_three(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    budget = 3 * (on_disk_bytes(len(video)) + _JOURNAL_BYTES)
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget, temp_share=1, segment_bytes=16 * 1024) as cell:
        samples: list[tuple[int, int]] = []
        sampling = asyncio.create_task(_sample_volume(cell, budget, samples))
        views = await asyncio.gather(*(cell.upload(video) for _ in range(_UPLOADS)))
        assert not sampling.done()
        await end_tasks(sampling)

        assert [view["status"] for view in views] == ["ready"] * _UPLOADS
        assert max(reserved for reserved, _ in samples) <= budget
        assert max(on_disk for _, on_disk in samples) <= budget
        assert max(reserved for reserved, _ in samples) > 2 * len(video), "the volume was never full"
        await cell.until_clean()


async def test_a_waiting_upload_has_a_place_and_takes_no_segments(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    async with running_cell(servers, tmp_path, temp_budget_bytes=len(video) + _JOURNAL_BYTES, temp_share=1) as cell:
        first, second, third = [await cell.create(len(video)) for _ in range(3)]
        assert [upload["status"] for upload in (first, second, third)] == ["admitted", "waiting", "waiting"]
        assert [upload["queue_position"] for upload in (first, second, third)] == [None, 1, 2]
        status, body, headers = await cell.put(second, 1, video)
        assert (status, body["error"]["code"]) == (409, "UPLOAD_WAITING")
        assert int(headers["Retry-After"]) > 0

        await cell.call("DELETE", f"/v1/uploads/{first['id']}", expect=200)
        await cell.until(second["id"], "admitted")
        await cell.put_all(second, video)
        await cell.until(second["id"], "ready")
        await cell.until(third["id"], "admitted")
        await cell.call("DELETE", f"/v1/uploads/{third['id']}", expect=200)
        await cell.until_clean()


async def test_an_abandoned_upload_expires_and_leaves_nothing(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    async with running_cell(servers, tmp_path, lease_seconds=15, segment_bytes=16 * 1024) as cell:
        upload = await cell.create(len(video))
        await cell.put(upload, 1, video)

        async def stored() -> bool:
            return bool(await cell.stored_keys())

        await eventually(stored, 30, lambda: "the first segment to be stored")
        view = await cell.until(upload["id"], "expired")
        assert view["error"]["code"] == "UPLOAD_EXPIRED"
        await cell.until_clean()
