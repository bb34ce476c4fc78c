"""Segments are sent in reverse, in parallel, twice each, and cut off half-way: the object is correct byte for byte."""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.media_samples import long_video

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def video() -> bytes:
    return long_video(7 * SEGMENT_BYTES - 1000)


async def _cut_off(cell: Cell, upload: dict[str, str], number: int, data: bytes) -> None:
    """Announce a whole segment, send half of it, and hang up."""
    start = (number - 1) * SEGMENT_BYTES
    part = data[start : start + SEGMENT_BYTES]
    host, port = cell.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = f"/v1/uploads/{upload['id']}/segments/{number}"
    lines = [f"PUT {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(part)}"]
    writer.write("\r\n".join([*lines, "", ""]).encode() + part[: len(part) // 2])
    await writer.drain()
    writer.transport.abort()
    assert reader is not None


async def test_segments_in_any_order_in_parallel_twice_each_and_cut_off(cell: Cell, video: bytes) -> None:
    upload = await cell.create(len(video), filename="video.mkv", content_type="video/x-matroska")
    count = upload["segment_count"]
    assert count >= 5
    await asyncio.gather(*(_cut_off(cell, upload, number, video) for number in range(1, count + 1)))
    view = await cell.status(upload["id"])
    assert view["missing_segments"] == [[1, count]], "half a segment does not count"

    answers = await asyncio.gather(*(cell.put(upload, number, video) for number in range(count, 0, -1) for _ in "12"))
    assert {status for status, _, _ in answers} <= {200, 201}, [body for status, body, _ in answers if status >= 400]
    repeated = [body["data"]["repeated"] for _, body, _ in answers]
    assert repeated.count(False) == count, "each segment is accepted exactly once"

    view = await cell.until(upload["id"], "ready")
    content = await cell.content(view["id"])
    assert await cell.read(content["object"]["key"]) == video
    assert content["object"]["segment_count"] == count
    # Sending a segment again after the end is harmless.
    status, body, _ = await cell.put(upload, 1, video)
    assert (status, body["data"]["repeated"]) == (200, True)
    await cell.until_clean()


async def test_a_received_segment_does_not_change(cell: Cell, video: bytes) -> None:
    upload = await cell.create(len(video), filename="video.mkv", content_type="video/x-matroska")
    await cell.put(upload, 1, video)
    status, body, _ = await cell.put(upload, 1, bytes(len(video)))
    assert (status, body["error"]["code"]) == (409, "SEGMENT_DIFFERS")
    await cell.put_all(upload, video)
    content = await cell.content((await cell.until(upload["id"], "ready"))["id"])
    assert await cell.read(content["object"]["key"]) == video


async def test_a_flipped_byte_on_the_disk_is_found_and_only_its_segment_requested_again(
    cell: Cell, video: bytes
) -> None:
    upload = await cell.create(len(video), filename="video.mkv", content_type="video/x-matroska")
    cell.processes.child("worker-all").stop()
    await cell.put_all(upload, video)
    path = cell.settings.temp_dir / f"{upload['id']}.data"
    with path.open("r+b") as file:
        file.seek(2 * SEGMENT_BYTES + 1000)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    cell.processes.child("worker-all").start()
    view = await cell.until(upload["id"], "receiving")
    assert view["missing_segments"] == [[3, 3]]
    await cell.put(upload, 3, video)
    content = await cell.content((await cell.until(upload["id"], "ready"))["id"])
    assert await cell.read(content["object"]["key"]) == video
    await cell.until_clean()
