"""Uploads of files that cost a lot to read do not delay an honest upload."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.cell import Cell
from tests.harness.media_expensive import EXPENSIVE
from tests.harness.media_samples import sample

pytestmark = pytest.mark.e2e

_OF_EACH = 10
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
    sending = [asyncio.create_task(_send(cell, make())) for make in EXPENSIVE.values() for _ in range(_OF_EACH)]
    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    await cell.upload(honest)
    beside = [(await cell.status(task.result()))["status"] if task.done() else "unsent" for task in sending]
    ended = [await cell.until(await task, *_ENDED, seconds=600) for task in sending]
    assert not set(beside) <= set(_ENDED), "all of them were read first"
    for upload in ended:
        assert upload["status"] == "ready" or upload["error"]["code"] in ("NOT_MEDIA", "MEDIA_TIMEOUT"), upload
    await cell.until_clean()
