"""Of many uploads a third is cancelled, a third deleted and a third kept: the store holds the kept ones and no more.

Every key is listed and accounted for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_UPLOADS = 48
_SEGMENTS = 3


async def _kept(cell: Cell, video: bytes) -> str:
    return str((await cell.upload(video))["id"])


async def _aborted(cell: Cell, video: bytes, sent: int) -> None:
    """Cancel an upload after `sent` segments, in whatever state its transfer is."""
    upload = await cell.create(len(video))
    for number in range(1, sent + 1):
        await cell.put(upload, number, video)
    await cell.call("DELETE", f"/v1/uploads/{upload['id']}")


async def _deleted(cell: Cell, video: bytes) -> None:
    content_id = (await cell.upload(video))["id"]
    await cell.call("DELETE", f"/v1/contents/{content_id}")


async def test_the_store_holds_exactly_what_was_kept(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes().ljust(_SEGMENTS * SEGMENT_BYTES, b"\0")
    async with running_cell(servers, tmp_path) as cell:
        slots = asyncio.Semaphore(8)
        kept: list[str] = []

        async def one(index: int) -> None:
            async with slots:
                if index % 3 == 0:
                    kept.append(await _kept(cell, video))
                elif index % 3 == 1:
                    await _aborted(cell, video, sent=index % _SEGMENTS)
                else:
                    await _deleted(cell, video)

        await asyncio.gather(*(one(index) for index in range(_UPLOADS)))
        expected: set[str] = set()
        for content_id in kept:
            content = await cell.content(content_id)
            expected |= {content["object"]["key"], content["thumbnail"]["key"]}
            expected |= {f"segment:{content_id}/{number:08d}" for number in range(1, _SEGMENTS + 1)}
        found: set[str] = set()

        async def settled() -> bool:
            found.clear()
            found.update(await cell.stored_keys())
            return found == expected

        await eventually(settled, 60, lambda: f"unaccounted: {found - expected}, missing: {expected - found}")
        _, body, _ = await cell.call("GET", "/v1/leftovers", expect=200)
        assert body["data"]["items"] == []
