"""Settings of a temp volume on a real disk: its capacity, and what an acknowledgement waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.disk_checks import DISK_BYTES, finishes, is_refused, logged, small_video, until_warned
from tests.harness.disks import faulty_disk, small_disk
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


async def test_a_file_larger_than_the_volume_is_refused_at_once(servers: Servers, tmp_path: Path) -> None:
    """Otherwise it would block the head of the queue until it expires."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        headroom = 1024 * 1024
        capacity = DISK_BYTES - headroom - 1024 * 1024  # minus room for journals
        async with running_cell(
            servers,
            tmp_path / "cell",
            temp_dir=str(disk),
            temp_budget_bytes=10 * DISK_BYTES,
            temp_headroom_bytes=headroom,
        ) as cell:
            body = {"filename": "a.mp4", "size": capacity + 1, "content_type": "video/mp4"}
            _, refused, _ = await cell.call("POST", "/v1/uploads", json=body, expect=413)
            assert refused["error"]["code"] == "FILE_TOO_LARGE_FOR_VOLUME"
            assert refused["error"]["detail"]["capacity_bytes"] == capacity
            assert refused["error"]["detail"]["budget_bytes"] == 10 * DISK_BYTES
            assert "SLUICE_TEMP_BUDGET_BYTES" in await until_warned(cell)
            assert logged(cell, "volume.smaller_than_budget")
            upload = await cell.create(capacity)
            assert upload["status"] == "admitted"
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
