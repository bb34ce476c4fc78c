"""Digests in responses: each names its algorithm, in the form in which a client sends one."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


def md5(data: bytes) -> str:
    return f"md5=:{b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}:"


def crc32c(data: bytes) -> str:
    return f"crc32c=:{b64encode(google_crc32c.value(data).to_bytes(4, 'big')).decode()}:"


def film(segments: int) -> bytes:
    """A video of this many segments of 256 KiB; players and probes ignore the padding."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES - 5, b"\0")


async def segments(cell: Cell, content: dict[str, Any]) -> list[dict[str, Any]]:
    _, body, _ = await cell.call("GET", content["links"]["segments"], expect=200)
    listed: list[dict[str, Any]] = body["data"]["segments"]
    return listed


async def test_a_received_segment_has_the_digest_that_a_client_may_send(cell: Cell) -> None:
    data = film(3)
    whole = f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"
    upload = await cell.create(len(data), digest=whole)
    assert upload["digest"] == whole
    for number in (1, 2, 3):
        part = data[(number - 1) * SEGMENT_BYTES : number * SEGMENT_BYTES]
        status, body, _ = await cell.put(upload, number, data, headers={"Content-Digest": crc32c(part)})
        assert status == 200
        assert body["data"]["digest"] == crc32c(part)
        # The digest of the response is accepted as it is.
        status, body, _ = await cell.put(upload, number, data, headers={"Content-Digest": body["data"]["digest"]})
        assert (status, body["data"]["repeated"]) == (200, True)
    view = await cell.until(upload["id"], "ready")
    assert view["digest"] == whole
    content = await cell.content(upload["id"])
    assert content["object"]["digest"] is None, "the ETag of a manifest is no digest of the bytes"
    listed = await segments(cell, content)
    assert [item["digest"] for item in listed] == [
        md5(data[start : start + SEGMENT_BYTES]) for start in range(0, len(data), SEGMENT_BYTES)
    ]


async def test_a_plain_object_and_its_thumbnail(cell: Cell) -> None:
    data = film(1)
    content = await cell.content((await cell.upload(data))["id"])
    assert content["object"]["digest"] == md5(data)
    assert content["thumbnail"]["digest"] == md5(await cell.read(content["thumbnail"]["key"]))
    assert [item["digest"] for item in await segments(cell, content)] == [md5(data)]


async def test_an_imported_object_has_none(cell: Cell) -> None:
    """Its ETag may be that of a manifest, which has the form of an MD5 on Swift."""
    await cell.store.put_object("raw/digests.mp4", film(2), "video/mp4")
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": "raw/digests.mp4"}, expect=201)
    await cell.until(body["data"]["id"], "ready")
    content = await cell.content(body["data"]["id"])
    assert content["object"]["digest"] is None
    (only,) = await segments(cell, content)
    assert (only["digest"], only["etag"]) == (None, content["object"]["etag"])
    assert content["thumbnail"]["digest"] == md5(await cell.read(content["thumbnail"]["key"]))
    await cell.store.delete("raw/digests.mp4")


@pytest.mark.parametrize(
    ("store", "verify", "known"), [("s3", "etag", True), ("s3", "content-md5", False), ("filesystem", "etag", True)]
)
async def test_stores_whose_etags_are_no_digests(
    servers: Servers, tmp_path: Path, store: str, verify: str, known: bool
) -> None:
    async with running_cell(servers, tmp_path, store=store, s3_verify=verify) as cell:
        data = film(1)
        content = await cell.content((await cell.upload(data))["id"])
        (only,) = await segments(cell, content)
        expected = (md5(data), md5(data)) if known else (None, crc32c(data))
        assert (content["object"]["digest"], only["digest"]) == expected
