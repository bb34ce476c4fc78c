"""Many requests for room at once, by one process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.core.admission import DiskReading
from pipeline.core.lifecycle import Status
from tests.integration.admission.cell import BUDGET_BYTES, KIBIBYTE, Cell, open_cell

pytestmark = pytest.mark.integration


async def statuses(cell: Cell, uploads: list[str]) -> set[Status]:
    return {(await cell.redis.board.get(upload_id)).status for upload_id in uploads}


async def test_every_upload_of_a_burst_is_admitted(redis_url: str, redis_namespace: str, tmp_path: Path) -> None:
    """At the latest by the next run: all readings of a request may have been stale."""
    async with open_cell(redis_url, redis_namespace, tmp_path) as cell:
        uploads = [await cell.register(KIBIBYTE) for _ in range(100)]
        await cell.request(uploads[0])  # opens the volume
        await asyncio.gather(*map(cell.request, uploads))
        await cell.admission.run()
        assert await statuses(cell, uploads) == {Status.ADMITTED}
        assert set(await cell.volume.list()) == set(uploads)
        assert set(await cell.redis.ledger.holders()) == set(uploads)


async def test_a_request_returns_when_another_one_has_admitted_its_upload(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path) as cell:
        upload_id = await cell.register(KIBIBYTE)
        await asyncio.gather(*(cell.request(upload_id) for _ in range(5)))
        assert await statuses(cell, [upload_id]) == {Status.ADMITTED}


async def test_a_request_with_a_stale_reading_is_in_the_queue(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path) as cell:
        first, second = await cell.register(KIBIBYTE), await cell.register(KIBIBYTE)
        await cell.request(first)
        ledger = cell.redis.ledger
        stale = DiskReading(BUDGET_BYTES, 0, (await ledger.epoch() or 0) - 1)
        assert await ledger.request(second, KIBIBYTE, stale) is None
        standing = await ledger.standing(second)
        assert standing is not None
        assert standing.queue_position == 1
        await cell.admission.run()
        assert await statuses(cell, [second]) == {Status.ADMITTED}
