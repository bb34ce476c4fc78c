"""A Content-MD5 is compared by the store: from the client to the disk of the store nobody else computes it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


def header(data: bytes) -> dict[str, str]:
    return {"Content-MD5": b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


def film(segments: int, segment_bytes: int = SEGMENT_BYTES) -> bytes:
    return sample("mp4").read_bytes().ljust(segments * segment_bytes - 5, b"\0")


def part(data: bytes, number: int, segment_bytes: int = SEGMENT_BYTES) -> bytes:
    return data[(number - 1) * segment_bytes : number * segment_bytes]


@pytest.mark.parametrize(("store", "segment_bytes"), [("swift", SEGMENT_BYTES), ("s3", 5 * 1024 * 1024)])
async def test_a_wrong_one_is_noticed_by_the_store_once_and_by_the_gateway_from_then_on(
    servers: Servers, tmp_path: Path, store: str, segment_bytes: int
) -> None:
    data = film(3, segment_bytes)
    async with running_cell(servers, tmp_path, store=store, segment_bytes=segment_bytes) as cell:
        upload = await cell.create(len(data))
        assert upload["segment_digest"] == ("md5" if store == "swift" else "crc32c")
        status, _, _ = await cell.put(upload, 1, data, headers=header(part(data, 1, segment_bytes)))
        assert status == 200
        status, _, _ = await cell.put(upload, 2, data, headers=header(b"other bytes"))
        assert status == 200, "its MD5 is not compared while it arrives"

        async def noticed() -> bool:
            numbers: list[list[int]] = (await cell.status(upload["id"]))["wrong_digests"]
            return numbers == [[2, 2]]

        await eventually(noticed, 60, lambda: "the store to refuse the segment")
        assert (await cell.status(upload["id"]))["missing_segments"] == [[2, 3]]

        status, body, _ = await cell.put(upload, 2, data, headers=header(b"other bytes"))
        assert (status, body["error"]["code"]) == (400, "SEGMENT_DIGEST_WRONG"), "now it is"
        for number in (2, 3):
            assert (await cell.put(upload, number, data, headers=header(part(data, number, segment_bytes))))[0] == 200
        view = await cell.until(upload["id"], "ready")
        assert view["wrong_digests"] == []
        assert view["segment_digest"] == "crc32c"
        assert await cell.read(f"contents/{upload['id']}/original") == data


async def test_the_gateway_compares_a_content_digest_at_once(cell: Cell) -> None:
    data = film(2)
    upload = await cell.create(len(data))
    wrong = header(b"other bytes")["Content-MD5"]
    status, body, _ = await cell.put(upload, 1, data, headers={"Content-Digest": f"md5=:{wrong}:"})
    assert (status, body["error"]["code"]) == (400, "SEGMENT_DIGEST_WRONG")


async def test_a_segment_that_comes_again_is_compared_at_once(cell: Cell) -> None:
    data = film(2)
    upload = await cell.create(len(data))
    assert (await cell.put(upload, 1, data, headers=header(part(data, 1))))[0] == 200
    status, body, _ = await cell.put(upload, 1, data, headers=header(b"other bytes"))
    assert (status, body["error"]["code"]) == (400, "SEGMENT_DIGEST_WRONG")


async def test_what_is_compared_is_forgotten(cell: Cell) -> None:
    data = film(2)
    upload = await cell.create(len(data))
    assert (await cell.put(upload, 1, data, headers=header(part(data, 1))))[0] == 200
    key = cell.keys.upload(upload["id"])

    async def stored() -> bool:
        return await hash_get(cell.redis, key, "segments_stored") == "1"

    await eventually(stored, 60, lambda: "the segment to be stored")
    assert not await cell.redis.exists(f"{key}:md5")
