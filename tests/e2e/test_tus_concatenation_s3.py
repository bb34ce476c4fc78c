"""Concatenation on S3: the store copies the segments of the parts to the object, and nothing stays behind."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.core.segments import MEBIBYTE, SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, object_key
from tests.contract.object_store.uploads import MemorySource
from tests.e2e.test_orphaned_objects import cleaned, sweep
from tests.e2e.test_tus_clients import stored, tus_client, written
from tests.e2e.test_tus_concatenation import HEADERS, final, new_part
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def cell(servers: Servers, tmp_path: Path) -> AsyncIterator[Cell]:
    async with running_cell(servers, tmp_path, store="s3") as cell:
        yield cell


async def empty(cell: Cell) -> None:
    async def removed() -> bool:
        return not await cell.stored_keys()

    await eventually(removed, 60, lambda: "everything to be removed from the bucket")


async def test_three_parts_at_once(cell: Cell, tmp_path: Path) -> None:
    """Each part has a segment that is copied, and a shorter one."""
    file = written(tmp_path / "film", long_video(24 * MEBIBYTE))
    async with tus_client(cell.url, file, parallelUploads=3) as client:
        done = await client.event("done")
    assert done["methods"].count("POST") == 4, "three parts and the final upload"
    await stored(cell, done, file.read_bytes())
    await cell.until_clean()
    content_id = done["url"].rpartition("/")[2]
    key = (await cell.content(content_id))["object"]["key"]
    kept = [name for name in await cell.stored_keys() if "thumbnail" not in name]
    assert kept == [key], "the segments of the parts are removed"
    _, shown, _ = await cell.call("GET", f"/v1/contents/{content_id}/segments", expect=200)
    assert len(shown["data"]["segments"]) == 6
    for item in shown["data"]["segments"]:
        async with cell.http.get(item["url"], headers=item["headers"]) as response:
            assert await response.read() == file.read_bytes()[item["offset"] : item["offset"] + item["size"]]
    await cell.call("DELETE", f"/v1/contents/{content_id}", expect=200)
    await empty(cell)


async def test_uploads_that_end_otherwise_leave_nothing(cell: Cell) -> None:
    """A part without a final upload, and final uploads of what is no media, and of one segment."""
    film = long_video(2 * MEBIBYTE)
    small = film[: 200 * 1024]
    lone, one, *text = await asyncio.gather(*(new_part(cell, data) for data in (film, small, b"no", b" media")))
    await cell.until(lone.rpartition("/")[2], "held")
    async with cell.http.delete(lone, headers=HEADERS) as response:
        assert response.status == 204
    whole, failing = await final(cell, one), await final(cell, *text)
    view = await cell.until(whole, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(whole)
    assert (content["object"]["segment_count"], await cell.read(content["object"]["key"])) == (1, small)
    view = await cell.until(failing, "failed")
    assert view["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean()
    await cell.call("DELETE", f"/v1/contents/{whole}", expect=200)
    await empty(cell)


async def test_a_segment_stored_after_the_cleanup_is_removed(cell: Cell) -> None:
    """A worker was frozen before it retried a segment. What is held, and what is a part of a content, stays."""
    film = long_video(2 * MEBIBYTE)
    ended, held, *joined = await asyncio.gather(*(new_part(cell, film) for _ in range(4)))
    content = await final(cell, *joined)
    await cell.until(content, "ready")
    await cell.until(held.rpartition("/")[2], "held")
    async with cell.http.delete(ended, headers=HEADERS) as response:
        assert response.status == 204
    name = ended.rpartition("/")[2]
    await cleaned(cell, name)
    kept = await cell.stored_keys()
    plan = SegmentPlan(len(film), 5 * MEBIBYTE)
    target = ObjectTarget(name, object_key(name), "video/mp4", plan, partial=True)
    await cell.store.put_segment(target, MemorySource(1, film))
    assert len(await cell.stored_keys()) == len(kept) + 1
    await sweep(cell)
    assert await cell.stored_keys() == kept
    assert await cell.read((await cell.content(content))["object"]["key"]) == film + film


async def test_a_worker_that_is_killed_while_it_seals(cell: Cell) -> None:
    """The next run continues with the parts that the store has copied, or finds the object."""
    film = long_video(26 * MEBIBYTE)
    size = 6 * MEBIBYTE + 1
    pieces = [film[first : first + size] for first in range(0, len(film), size)]
    content = await final(cell, *[await new_part(cell, piece) for piece in pieces])

    async def seals() -> bool:
        return (await cell.status(content))["stages"]["seal"]["state"] in ("running", "done")

    await eventually(seals, 60, lambda: "seal to run")
    worker = cell.processes.child("worker-all")
    worker.stop(signal.SIGKILL)
    worker.start()
    view = await cell.until(content, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    assert await cell.read((await cell.content(content))["object"]["key"]) == film
    await cell.until_clean()
    await cell.call("DELETE", f"/v1/contents/{content}", expect=200)
    await empty(cell)
