"""A recovery that died after it had rebuilt a record, and before it reserved what the temp file holds."""

from __future__ import annotations

import random
from pathlib import Path

import google_crc32c
import pytest
from pydantic import SecretStr

from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.bootstrap import redis_parts, volume_parts
from pipeline.core.journal_entries import Received, Released, Stored
from pipeline.core.journal_size import journal_bytes
from pipeline.settings import Settings
from pipeline.upkeep import expiry
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.integration

SEGMENT_BYTES = 64 * 1024


@pytest.mark.parametrize("window", [4, None], ids=["windowed", "whole"])
async def test_the_sweep_reserves_what_the_temp_file_holds(
    redis_url: str, redis_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    """Of six segments 1, 2 and 3 have arrived; 2 was stored and released."""
    monkeypatch.setattr(expiry, "_UNQUEUED_MS", 0)
    window_bytes = window * SEGMENT_BYTES if window else None
    new = new_upload(size_bytes=6 * SEGMENT_BYTES, segment_bytes=SEGMENT_BYTES, store="none", window_bytes=window_bytes)
    settings = Settings(
        redis_url=SecretStr(redis_url),
        redis_namespace=redis_namespace,
        temp_dir=tmp_path,
        temp_budget_bytes=100 * SEGMENT_BYTES,
        temp_headroom_bytes=0,
        volume=new.volume,
    )
    async with redis_parts(settings) as redis:
        parts = volume_parts(settings, redis)
        volume, ledger = parts.cell.volume, parts.cell.ledger
        journals = FileUploadJournals(tmp_path, durable=False)
        await journals.begin(new)
        await (volume.allocate_sparse if window else volume.allocate)(new.upload_id, new.size_bytes)
        data = random.Random(1).randbytes(SEGMENT_BYTES)
        for number in (1, 2, 3):
            await volume.write(new.upload_id, (number - 1) * SEGMENT_BYTES, [data], 0)
            await journals.note(new.upload_id, Received(number, google_crc32c.value(data)))
        await journals.note(new.upload_id, Stored(2, "etag"), Released((2,)))
        await volume.punch(new.upload_id, [(SEGMENT_BYTES, SEGMENT_BYTES)])
        journal = await journals.read(new.upload_id)
        assert journal is not None
        assert (await redis.board.rebuild(journal, has_file=True, grants_seconds=60))[0]
        await ledger.open(await redis.board.server_run())

        await expiry.Expiry(parts.cell, parts.admission, parts.recovery, parts.expiry).request_again()

        held = 2 if window else 5
        assert volume.path(new.upload_id).stat().st_blocks * 512 == held * SEGMENT_BYTES
        found = await ledger.snapshot()
        assert found.backed_bytes == held * SEGMENT_BYTES + journal_bytes(new)
        assert found.reserved_bytes == (window_bytes or held * SEGMENT_BYTES) + journal_bytes(new)
        assert await ledger.given(new.upload_id) == {2}
        assert set(await ledger.taken(new.upload_id)) == ({1, 3} if window else set())
