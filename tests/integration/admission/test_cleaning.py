"""Cleanup while a store or PostgreSQL does not respond."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.lifecycle import Event
from tests.harness.redis_calls import reply
from tests.integration.admission.cell import KIBIBYTE, Cell, Hanging, open_cell

pytestmark = pytest.mark.integration

_MORE_THAN_AT_ONCE = 20


async def admitted(cell: Cell) -> str:
    upload_id = await cell.register(KIBIBYTE)
    await cell.request(upload_id)
    assert upload_id in await cell.redis.ledger.holders()
    return upload_id


async def test_a_content_frees_its_bytes_while_other_cleanups_hang(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    hanging = Hanging()
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60, elsewhere=hanging) as cell:
        stuck = [await admitted(cell) for _ in range(_MORE_THAN_AT_ONCE)]
        for upload_id in stuck:
            # The record was recreated: cleanup must remove whatever the upload may have left in the store.
            await reply(cell.redis.client.hset(cell.redis.keys.upload(upload_id), "recovered_at_ms", "1"))
            await cell.redis.board.apply(upload_id, Event.CANCEL)
        assert await cell.cleanups.run() == 0
        assert 0 < hanging.asked < len(stuck), "cleanup is bounded"
        asked = hanging.asked

        content = await admitted(cell)
        for event in (Event.ALL_RECEIVED, Event.PERSISTED):
            await cell.redis.board.apply(content, event)
        assert await cell.cleanups.run() == 1
        assert set(await cell.redis.ledger.holders()) == set(stuck)
        assert not cell.volume.path(content).exists()
        assert hanging.asked == asked, "no upload is cleaned up twice at once"
