"""Settings of a temp volume on a real disk: its capacity, and what an acknowledgement waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.disk_checks import DISK_BYTES, finishes, is_refused, logged, small_video, until_warned
from tests.harness.cell import hash_get
from tests.harness.disks import faulty_disk, small_disk
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


async def test_a_file_larger_than_the_disk_gets_a_part_of_it(servers: Servers, tmp_path: Path) -> None:
    """Also when the budget is larger than the disk: nothing that can never be admitted blocks the queue."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        headroom = 1024 * 1024
        capacity = DISK_BYTES - headroom
        async with running_cell(
            servers,
            tmp_path / "cell",
            temp_dir=str(disk),
            temp_budget_bytes=10 * DISK_BYTES,
            temp_headroom_bytes=headroom,
        ) as cell:
            assert "SLUICE_TEMP_BUDGET_BYTES" in await until_warned(cell)
            assert logged(cell, "volume.smaller_than_budget")
            uploads = [await cell.create(5 * DISK_BYTES) for _ in range(4)]
            assert [upload["status"] for upload in uploads] == ["admitted"] * 4
            volume = cell.keys.volume(cell.settings.volume)
            reserved = int(await hash_get(cell.redis, volume, "reserved_bytes") or 0)
            assert 0 < reserved <= capacity
            for upload in uploads:
                await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
            await cell.until_clean()


async def test_with_share_1_a_file_is_held_whole_where_it_fits(servers: Servers, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with running_cell(
            servers, tmp_path / "cell", temp_dir=str(disk), temp_headroom_bytes=1024 * 1024, temp_share=1
        ) as cell:
            upload = await cell.create(DISK_BYTES - 2 * 1024 * 1024)
            assert upload["status"] == "admitted"
            volume = cell.keys.volume(cell.settings.volume)
            (journal,) = disk.glob("*.journal")
            reserved = DISK_BYTES - 2 * 1024 * 1024 + journal.stat().st_blocks * 512
            assert await hash_get(cell.redis, volume, "reserved_bytes") == str(reserved)
            await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
            await cell.until_clean()


@pytest.mark.parametrize("durability", ["fsync", "page-cache"])
async def test_what_an_acknowledgement_waits_for(servers: Servers, tmp_path: Path, durability: str) -> None:
    """With `fsync` a segment is acknowledged once it is on the disk; with `page-cache` it does not wait for that."""
    video = small_video(3)
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(
            servers, tmp_path / "cell", temp_dir=str(disk.point), durability=durability, store="filesystem"
        ) as cell:
            upload = await cell.create(len(video))
            disk.fail("fsync")
            if durability == "fsync":
                await is_refused(cell, upload, 1, video, "TEMP_VOLUME_FAILED")
            else:
                status, body, _ = await cell.put(upload, 1, video)
                assert status in (200, 201), body
            disk.heal()
            await cell.put_all(upload, video)
            await finishes(cell, upload, video)
            await cell.until_clean()
