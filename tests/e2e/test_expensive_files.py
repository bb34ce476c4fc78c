"""Uploads of files that cost a lot to read do not delay an honest upload."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.cell import Cell
from tests.harness.media_expensive import EXPENSIVE
from tests.harness.media_samples import sample

pytestmark = pytest.mark.e2e

_OF_EACH = 4
_ENDED = ("ready", "failed")


async def _send(cell: Cell, content: bytes) -> str:
    """Send a file until all of it is sent or the upload has failed; the id of the upload."""
    upload = await cell.create(len(content), content_type="application/octet-stream")
    await cell.until(upload["id"], "admitted")
    for number in range(1, upload["segment_count"] + 1):
        status, body, _ = await cell.put(upload, number, content)
        if status == 409:
            assert body["error"]["code"] == "UPLOAD_ENDED", body
            break
        assert status in (200, 201), body
    return str(upload["id"])


@pytest.mark.timeout(900)
async def test_an_honest_upload_is_ready_at_once_beside_expensive_ones(cell: Cell) -> None:
    honest = sample("jpeg").read_bytes()
    await cell.upload(honest)
    expensive = await asyncio.gather(*(_send(cell, make()) for make in EXPENSIVE.values() for _ in range(_OF_EACH)))
    for _ in range(3):
        await cell.upload(honest)
    beside = [(await cell.status(upload_id))["status"] for upload_id in expensive]
    ended = [await cell.until(upload_id, *_ENDED, seconds=600) for upload_id in expensive]
    assert not set(beside) <= set(_ENDED), "some of them were still being read"
    for upload in ended:
        assert upload["status"] == "ready" or upload["error"]["code"] in ("NOT_MEDIA", "MEDIA_TIMEOUT"), upload
    await cell.until_clean()
