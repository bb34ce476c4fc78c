"""Uploads that are created and never sent, beside an honest client."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

import pytest

from tests.e2e.abuse.conftest import BUDGET_BYTES, Site, guarded, site_of
from tests.harness.abuse import Counted, create, created_and_cancelled, posts, whole_budget
from tests.harness.blocks import occupied_by_uploads
from tests.harness.cell import Cell, eventually, hash_get
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_MEBIBYTE = 1024 * 1024
_SHARE = 0.75
_PER_UPLOAD_BYTES = 24 * 1024
"""Memory that Redis may need for an upload that waits."""


async def _reserved_of(cell: Cell, owner: str) -> int:
    volume = cell.keys.volume(cell.settings.volume)
    return int(await cast("Awaitable[str | None]", cell.redis.hget(f"{volume}:owner-bytes", owner)) or 0)


@pytest.mark.parametrize("small", [16, 65])
async def test_one_upload_of_the_whole_budget_and_many_small_ones(site: Site, small: int) -> None:
    async with whole_budget(small)(site.mallory):
        assert await _reserved_of(site.cell, "mallory") <= BUDGET_BYTES * _SHARE + _MEBIBYTE
        await site.honest(3)


async def test_many_large_uploads_leave_room(site: Site) -> None:
    """An owner holds no more than its share of the volume, so that another is admitted at once."""
    async with posts(40, size=16 * _MEBIBYTE)(site.mallory):
        assert await _reserved_of(site.cell, "mallory") <= BUDGET_BYTES * _SHARE
        upload = await site.alice.create(_MEBIBYTE)
        assert upload["status"] == "admitted"
        await site.alice.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        await site.honest()


async def test_a_thousand_waiting_uploads_of_one_owner(site: Site) -> None:
    async with posts(1100, size=BUDGET_BYTES // 4)(site.mallory) as counted:
        assert 900 <= counted.responses["waiting"] <= 1000
        assert counted.responses["OWNER_LIMIT"] > 0
        await site.honest(2)
        assert set(counted.responses) <= {"waiting", "admitted", "OWNER_LIMIT", "RATE_LIMITED"}


async def test_six_thousand_posts_take_no_room_of_the_disk_and_little_of_redis(site: Site) -> None:
    before = await site.redis_info("used_memory")
    async with posts(6000, size=BUDGET_BYTES // 4)(site.mallory) as counted:
        on_disk, files = occupied_by_uploads(site.cell.settings.temp_dir)
        assert on_disk.data_bytes <= BUDGET_BYTES
        assert files <= 20, "an upload that waits has no file"
        used = await site.redis_info("used_memory") - before
        assert used <= 1100 * _PER_UPLOAD_BYTES + 8 * _MEBIBYTE, counted.responses
        assert counted.responses["OWNER_LIMIT"] + counted.responses["RATE_LIMITED"] >= 4900
        async with site.cell.http.get(f"{site.cell.url}/readyz") as ready:
            assert ready.status == 200, await ready.text()
        await site.honest(2)


async def test_metadata_of_62_kb_is_refused_and_that_of_16_kb_does_not_stay(site: Site) -> None:
    refused = await create(site.mallory, counted := Counted(), 1000, metadata={f"k{n}": "x" * 1000 for n in range(32)})
    assert refused is None, counted.responses
    assert set(counted.responses) <= {"VALIDATION_FAILED", "BODY_TOO_LARGE"}
    before = await site.redis_info("used_memory")
    large = {f"k{n:02}": "x" * 1000 for n in range(15)}
    async with created_and_cancelled(300, metadata=large)(site.mallory) as counted:
        assert counted.responses["DELETE 200"] > 0, counted.responses
        used = await site.redis_info("used_memory") - before
        assert used <= 300 * 64 * 1024
        await site.honest()


async def test_what_was_cancelled_without_a_byte_is_gone_from_redis_soon(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with guarded(servers, tmp_path_factory.mktemp("retention"), retention_empty_seconds=2) as started:
        async with site_of(started) as site, created_and_cancelled(200)(site.mallory) as counted:
            first = counted.uploads[0]

            async def gone() -> bool:
                return not await site.cell.redis.exists(site.cell.keys.upload(first))

            await eventually(gone, 60, lambda: f"upload {first} to be removed from Redis")
            await site.honest()


async def test_the_queue_is_bounded_for_all_owners_together(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with guarded(servers, tmp_path_factory.mktemp("bounded"), queue_uploads=50) as started:
        async with site_of(started) as site, posts(100, size=BUDGET_BYTES // 2)(site.mallory) as counted:
            assert counted.responses["QUEUE_FULL"] >= 40, counted.responses
            assert counted.responses["waiting"] <= 50


async def test_an_upload_without_a_segment_expires_before_its_lease(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with guarded(servers, tmp_path_factory.mktemp("first"), first_segment_seconds=10, lease_seconds=600) as started:
        async with site_of(started) as site, whole_budget(10)(site.mallory) as counted:
            view = await site.mallory.until(counted.uploads[0], "expired", seconds=60)
            assert view["error"]["code"] == "UPLOAD_EXPIRED"
            await site.honest(2)


async def test_one_segment_per_lease_does_not_keep_an_upload(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    more = {"upload_deadline_seconds": 15, "lease_seconds": 600}
    with guarded(servers, tmp_path_factory.mktemp("deadline"), **more) as started:
        async with site_of(started) as site:
            size = site.cell.settings.segment_bytes * 64
            upload = await site.mallory.create(size)
            codes: list[str] = []

            async def ended() -> bool:
                number = len(codes) % 64 + 1
                status, body, _ = await site.mallory.put(upload, number, bytes(size))
                codes.append("" if status == 200 else body["error"]["code"])
                return bool((await site.mallory.status(upload["id"]))["status"] == "expired")

            await eventually(ended, 60, lambda: f"the upload to expire: {codes}", every_seconds=0.5)
            assert (await site.mallory.status(upload["id"]))["error"]["code"] == "UPLOAD_DEADLINE"
            volume = site.cell.keys.volume(site.cell.settings.volume)

            async def released() -> bool:
                return int(await hash_get(site.cell.redis, volume, "reserved_bytes") or 0) == 0

            await eventually(released, 60, lambda: "its room to be released")
            await site.honest()
