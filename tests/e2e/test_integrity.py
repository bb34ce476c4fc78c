"""The CRC-32C of a content: of the bytes that its client sent, from the client's request to every download."""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import asyncpg
import google_crc32c
import pytest

from pipeline.core.stored_objects import object_key
from tests.e2e.test_tus_concatenation import final, new_part
from tests.harness.cell import Cell
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy, Passing
from tests.harness.losses import recover
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

FILE_BYTES = {"swift": 900_001, "filesystem": 900_001, "s3": 5 * 1024 * 1024 + 4321}
"""More than one segment."""

MATROSKA = {"filename": "film.mkv", "content_type": "video/x-matroska"}


def text(crc32c: int) -> str:
    return b64encode(crc32c.to_bytes(4, "big")).decode()


def digest_of(data: bytes) -> str:
    return f"crc32c=:{text(google_crc32c.value(data))}:"


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


def film(cell: Cell, seed: int = 0) -> bytes:
    return long_video(FILE_BYTES[cell.settings.store], seed)


async def headers(cell: Cell, path: str, method: str = "GET", **sent: str) -> tuple[int, bytes, str | None]:
    """Status, body and Repr-Digest of a response."""
    async with cell.http.request(method, cell.url + path, headers=sent, allow_redirects=False) as response:
        return response.status, await response.read(), response.headers.get("Repr-Digest")


async def crc32cs(cell: Cell, content_id: str) -> tuple[int | None, list[int | None]]:
    """What the rows of a content and of its segments have."""
    connection = await asyncpg.connect(cell.settings.database_url.get_secret_value())
    try:
        whole = await connection.fetchval("SELECT crc32c FROM contents WHERE id = $1", content_id)
        rows = await connection.fetch(
            "SELECT crc32c FROM content_segments WHERE content_id = $1 ORDER BY number", content_id
        )
    finally:
        await connection.close()
    return whole, [row["crc32c"] for row in rows]


async def test_every_response_with_the_bytes_has_the_digest_of_the_whole(cell: Cell) -> None:
    data = film(cell)
    upload = await cell.create(len(data), **MATROSKA)
    numbers = list(range(1, upload["segment_count"] + 1))
    random.Random(1).shuffle(numbers)
    for number in numbers:  # in any order
        await cell.put(upload, number, data)
    await cell.until(upload["id"], "ready")
    assert (await cell.content(upload["id"]))["repr_digest"] == digest_of(data)
    path = f"/v1/contents/{upload['id']}"
    download = f"{path}/download?via=gateway"
    assert await headers(cell, download) == (200, data, digest_of(data))
    assert await headers(cell, download, "HEAD") == (200, b"", digest_of(data))
    assert await headers(cell, download, Range="bytes=5-9") == (206, data[5:10], digest_of(data))
    size = upload["segment_size"]
    segments = [data[start : start + size] for start in range(0, len(data), size)]
    assert len(segments) > 1
    for number, segment in enumerate(segments, 1):
        found = await headers(cell, f"{path}/segments/{number}?via=gateway")
        assert found == (200, segment, digest_of(segment))
    assert await crc32cs(cell, upload["id"]) == (google_crc32c.value(data), [*map(google_crc32c.value, segments)])


async def test_a_file_of_one_segment(cell: Cell) -> None:
    data = long_video(100_003)
    content = await cell.content((await cell.upload(data, **MATROSKA))["id"])
    assert (content["object"]["segment_count"], content["repr_digest"]) == (1, digest_of(data))


async def test_a_file_that_is_joined_from_several(cell: Cell) -> None:
    data = film(cell, 2)
    cut = len(data) // 3
    parts = [await new_part(cell, data[:cut]), await new_part(cell, data[cut:])]
    content_id = await final(cell, *parts)
    await cell.until(content_id, "ready")
    assert (await cell.content(content_id))["repr_digest"] == digest_of(data)
    assert (await headers(cell, f"/v1/contents/{content_id}/download?via=gateway"))[1:] == (data, digest_of(data))


async def test_what_did_not_pass_the_gateway_has_none(cell: Cell) -> None:
    """None of these stores keeps a CRC-32C of an object."""
    await cell.store.put_object("raw/a.mkv", long_video(100_003), "video/x-matroska")
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": "raw/a.mkv"}, expect=201)
    await cell.until(body["data"]["id"], "ready")
    assert (await cell.content(body["data"]["id"]))["repr_digest"] is None
    path = f"/v1/contents/{body['data']['id']}/download?via=gateway"
    assert (await headers(cell, path))[2] is None
    assert await crc32cs(cell, body["data"]["id"]) == (None, [])


async def test_redis_that_has_lost_everything(servers: Servers, tmp_path: Path) -> None:
    """The journal has the CRC-32Cs too."""
    data = long_video(FILE_BYTES["swift"], 3)
    async with running_cell(servers, tmp_path) as cell:
        upload = await cell.create(len(data), **MATROSKA)
        for number in range(1, upload["segment_count"]):
            await cell.put(upload, number, data)
        lost = [key async for key in cell.redis.scan_iter(f"{cell.settings.redis_namespace}:*")]
        assert await cell.redis.delete(*lost)
        await recover(cell)
        await cell.put(upload, upload["segment_count"], data)
        await cell.until(upload["id"], "ready")
        assert (await cell.content(upload["id"]))["repr_digest"] == digest_of(data)


def keeps(crc32c: int, key: str) -> Any:
    """A store that keeps this CRC-32C of this object, as Amazon may: what `AlteringProxy.after` does for it."""

    def after(passing: Passing) -> None:
        asked = passing.headers.get("x-amz-checksum-mode") == "ENABLED"
        if passing.method == "HEAD" and asked and passing.path_qs.partition("?")[0].endswith(key):
            passing.response_headers["x-amz-checksum-crc32c"] = text(crc32c)
            passing.response_headers["x-amz-checksum-type"] = "FULL_OBJECT"

    return after


async def test_a_store_that_keeps_a_digest_of_the_whole_object(
    servers: Servers, ceph: CephEndpoint, tmp_path: Path
) -> None:
    data = long_video(FILE_BYTES["s3"], 4)
    async with AlteringProxy(ceph.url) as proxy, running_cell(
        servers,
        tmp_path,
        store="s3",
        s3_endpoint_url=proxy.url,
        s3_access_key=ceph.access_key,
        s3_secret_key=ceph.secret_key,
    ) as cell:  # fmt: skip
        proxy.after = keeps(google_crc32c.value(data), "raw/a.mkv")
        await cell.store.put_object("raw/a.mkv", data, "video/x-matroska")
        _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": "raw/a.mkv"}, expect=201)
        await cell.until(body["data"]["id"], "ready")
        assert (await cell.content(body["data"]["id"]))["repr_digest"] == digest_of(data)

        upload = await cell.create(len(data), **MATROSKA)
        proxy.after = keeps(google_crc32c.value(data), object_key(upload["id"]))
        await cell.put_all(upload, data)
        await cell.until(upload["id"], "ready")

        upload = await cell.create(len(data), **MATROSKA)
        proxy.after = keeps(google_crc32c.value(data) ^ 1, object_key(upload["id"]))
        await cell.put_all(upload, data)
        view = await cell.until(upload["id"], "failed")
        assert view["error"]["code"] == "OBJECT_DIGEST_WRONG"
        assert await cell.read(object_key(upload["id"])) == data, "it is kept for an operator"
        await asyncio.gather(*(cell.store.delete(key) for key in (object_key(upload["id"]), "raw/a.mkv")))
