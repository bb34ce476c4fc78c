"""Uppy's S3 multipart against Swift and S3, request by request: what the plugin sends becomes a content."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, StoredSegment, object_key
from pipeline.ports import PresignedUploads
from tests.e2e.companion_client import PART_BYTES, CompanionClient
from tests.harness.cell import Cell, eventually, hash_get
from tests.harness.media_samples import sample

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("store_cell", ["swift", "s3"], indirect=True, scope="module"),
]


@pytest.fixture(scope="module")
def store_settings() -> dict[str, Any]:
    return {"swift_tempurl_key": "a-key-of-the-test"}


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


@pytest.fixture
def uppy(cell: Cell) -> CompanionClient:
    return CompanionClient(cell, cell.url)


def film(size: int) -> bytes:
    """A video of `size` bytes: players and probes skip the box of random bytes at its end."""
    head = sample("mp4").read_bytes()
    rest = size - len(head)
    return head + rest.to_bytes(4, "big") + b"free" + os.urandom(rest - 8)


async def nothing_but_grants(cell: Cell) -> None:
    """Wait until nothing is left but the note to look again when the last grant has expired."""

    async def clean() -> bool:
        return all(trace.endswith(":ended") for trace in await cell.left_behind())

    await eventually(clean, 30, lambda: "the upload to be removed")


async def test_a_file_of_several_parts(cell: Cell, uppy: CompanionClient) -> None:
    data = film(2 * PART_BYTES + 4321)
    meta = {"name": "film.mp4", "type": "video/mp4", "relativePath": None, "album": "Träume", "year": 2026}
    await uppy.create(filename="a/b\\film.mp4", metadata=meta)
    view = await cell.status(uppy.key)
    assert (view["status"], view["size"], view["missing_segments"]) == ("granted", 0, [])
    etags = await uppy.put_all(data, (1, 2))
    # The page is closed. What continues asks for what the store holds.
    status, parts = await uppy.of_upload("GET")
    assert (status, [(part["PartNumber"], part["Size"]) for part in parts]) == (200, [(1, PART_BYTES), (2, PART_BYTES)])
    assert {part["PartNumber"]: part["ETag"].strip('"') for part in parts} == etags
    assert (await cell.status(uppy.key))["size"] == PART_BYTES + 1, "what is known of the size counts"
    etags[3] = await uppy.put(3, data)
    status, done = await uppy.complete(etags)
    assert (status, done) == (200, {"location": f"{cell.url}/v1/uploads/{uppy.key}", "key": uppy.key})
    assert await uppy.complete(etags) == (status, done), "completing twice is harmless"
    assert [part["PartNumber"] for part in (await uppy.of_upload("GET"))[1]] == [1, 2, 3]
    view = await cell.until(uppy.key, "ready")
    assert (view["size"], view["segment_size"], view["segment_count"]) == (len(data), PART_BYTES, 3)
    assert view["bytes_stored"] == len(data)
    content = await cell.content(uppy.key)
    assert (content["filename"], content["metadata"]) == ("a_b_film.mp4", {"album": "Träume", "year": "2026"})
    assert await cell.read(content["object"]["key"]) == data
    await nothing_but_grants(cell)


async def test_a_file_of_one_part_is_a_plain_object(cell: Cell, uppy: CompanionClient) -> None:
    data = sample("jpeg").read_bytes()
    await uppy.create(filename="a.jpg", type="image/jpeg", metadata={"size": len(data)})
    assert (await cell.status(uppy.key))["size"] == len(data)
    etags = await uppy.put_all(data, (1,))
    assert (await uppy.complete(etags))[0] == 200
    await cell.until(uppy.key, "ready")
    content = await cell.content(uppy.key)
    assert (content["object"]["segment_count"], content["content_type"]) == (1, "image/jpeg")
    assert await cell.read(content["object"]["key"]) == data
    async with cell.http.get(f"{cell.url}/v1/contents/{uppy.key}/download") as sent:
        assert await sent.read() == data
    await nothing_but_grants(cell)


async def test_longer_parts_and_the_url_of_several_at_once(cell: Cell, uppy: CompanionClient) -> None:
    long = 6 * 1024 * 1024
    data = film(2 * long + 10)
    await uppy.create(metadata={"size": str(len(data))})
    status, signed = await uppy.call("GET", f"/multipart/{uppy.name}/batch", params={"partNumbers": "2,1"})
    assert (status, sorted(signed["presignedUrls"])) == (200, ["1", "2"])
    etags = await uppy.put_all(data, (1, 2, 3), long)
    assert (await uppy.complete(etags))[0] == 200
    view = await cell.until(uppy.key, "ready")
    assert (view["segment_size"], view["segment_count"]) == (long, 3)
    assert await cell.read((await cell.content(uppy.key))["object"]["key"]) == data


async def test_what_was_not_sent_is_missed(cell: Cell, uppy: CompanionClient) -> None:
    data = film(2 * PART_BYTES + 1)
    await uppy.create()
    status, failed = await uppy.complete({1: "0" * 32})
    assert (status, failed["error"]["code"], failed["error"]["detail"]["missing"]) == (
        409,
        "SEGMENTS_MISSING",
        [[1, 1]],
    )
    assert failed["message"].endswith("(SEGMENTS_MISSING)")
    etags = await uppy.put_all(data, (1, 3))
    status, failed = await uppy.complete({**etags, 2: "0" * 32})
    assert (status, failed["error"]["detail"]["missing"]) == (409, [[2, 2]])
    status, failed = await uppy.complete(etags)
    assert (status, failed["error"]["detail"]["missing"]) == (409, [[2, 2]])
    status, failed = await uppy.complete({1: "0" * 32})
    assert (status, failed["error"]["detail"]["missing"]) == (409, [[1, 1]]), "other bytes than the client sent"
    assert (await uppy.of_upload("DELETE")) == (200, {})
    assert (await uppy.of_upload("DELETE")) == (200, {})
    await nothing_but_grants(cell)
    status, failed = await uppy.of_upload("GET", "/1")
    assert (status, failed["error"]["code"]) == (409, "UPLOAD_ENDED")


async def test_parts_of_different_lengths_are_no_file(cell: Cell, uppy: CompanionClient) -> None:
    data = film(2 * PART_BYTES + 1)
    await uppy.create(metadata={"size": len(data)})
    etags = await uppy.put_all(data, (1, 2))
    status, failed = await uppy.complete(etags)
    assert (status, failed["error"]["code"]) == (422, "SEGMENTS_UNEVEN")
    assert f"a file of {len(data)} was announced" in failed["message"]
    status, failed = await uppy.of_upload("GET", "/4")
    assert (status, failed["error"]["code"]) == (404, "SEGMENT_OUT_OF_RANGE")
    await uppy.of_upload("DELETE")
    await nothing_but_grants(cell)


async def test_a_completion_that_was_interrupted_and_two_at_once(cell: Cell, uppy: CompanionClient) -> None:
    """The only part is the object already, and nothing has recorded it: the gateway died, or another one is faster."""
    data = sample("jpeg").read_bytes()
    await uppy.create(filename="a.jpg", type="image/jpeg")
    etags = await uppy.put_all(data, (1,))
    session = await hash_get(cell.redis, cell.keys.upload(uppy.key), "target_session") or ""
    plan = SegmentPlan(len(data), len(data))
    target = ObjectTarget(uppy.key, object_key(uppy.key), "image/jpeg", plan, session)
    assert isinstance(cell.store, PresignedUploads)
    await cell.store.make_whole(target, StoredSegment(1, len(data), etags[1]))
    assert [part["PartNumber"] for part in (await uppy.of_upload("GET"))[1]] == [1]
    assert (await uppy.complete(etags))[0] == 200
    await cell.until(uppy.key, "ready")

    other = CompanionClient(cell, cell.url)
    await other.create(filename="b.jpg", type="image/jpeg")
    etags = await other.put_all(data, (1,))
    assert [status for status, _ in await asyncio.gather(*(other.complete(etags) for _ in range(4)))] == [200] * 4
    for name in (uppy.key, other.key):
        await cell.until(name, "ready")
        assert await cell.read((await cell.content(name))["object"]["key"]) == data
    await nothing_but_grants(cell)
