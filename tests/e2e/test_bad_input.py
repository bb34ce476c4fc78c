"""Bad input gets an error with a code and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"size": 0}, 422, "VALIDATION_FAILED"),
        ({"size": -1}, 422, "VALIDATION_FAILED"),
        ({"size": "12"}, 422, "VALIDATION_FAILED"),
        ({"filename": "../../etc/passwd"}, 422, "VALIDATION_FAILED"),
        ({"filename": "a\u0000b"}, 422, "VALIDATION_FAILED"),
        ({"content_type": "video"}, 422, "VALIDATION_FAILED"),
        ({"surprise": 1}, 422, "VALIDATION_FAILED"),
        ({"digest": "sha-256=nonsense"}, 400, "DIGEST_NOT_SUPPORTED"),
        ({"size": 10**15}, 413, "FILE_TOO_LARGE_FOR_STORE"),
    ],
)
async def test_wrong_requests_register_nothing(cell: Cell, body: dict[str, Any], status: int, code: str) -> None:
    whole = {"filename": "file.mp4", "size": 10, "content_type": "video/mp4", **body}
    since = (await cell.redis.time())[0] * 1000
    got, answer, _ = await cell.call("POST", "/v1/uploads", json=whole)
    assert (got, answer["error"]["code"]) == (status, code)
    assert await cell.redis.zcount(f"{cell.keys.prefix}uploads", since, "+inf") == 0


async def test_too_large_for_the_store(servers: Servers, tmp_path: Path) -> None:
    # A Swift manifest holds 1,000 segments of 5 GiB; the budget of this cell is larger.
    async with running_cell(servers, tmp_path, temp_budget_bytes=2**53) as cell:
        body = {"filename": "f", "size": 1001 * 5 * 2**30, "content_type": "video/mp4"}
        status, answer, _ = await cell.call("POST", "/v1/uploads", json=body)
        assert (status, answer["error"]["code"]) == (413, "FILE_TOO_LARGE_FOR_STORE")


async def test_wrong_segments(cell: Cell) -> None:
    data = sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES + 5, b"\0")
    upload = await cell.create(len(data))
    path = f"/v1/uploads/{upload['id']}/segments"

    async def refused(number: int | str, part: bytes, **headers: str) -> tuple[int, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        status, body, _ = await cell.call("PUT", f"{path}/{number}", data=part, headers=names)
        return status, body["error"]["code"]

    assert await refused(0, b"x") == (404, "SEGMENT_OUT_OF_RANGE")
    assert await refused(5, b"x") == (404, "SEGMENT_OUT_OF_RANGE")
    assert await refused(1, b"short") == (400, "SEGMENT_LENGTH_WRONG")
    assert await refused(1, bytes(SEGMENT_BYTES + 1)) == (400, "SEGMENT_LENGTH_WRONG")
    wrong_md5 = b64encode(bytes(16)).decode()
    assert await refused(1, data[:SEGMENT_BYTES], Content_Digest=f"md5=:{wrong_md5}:") == (400, "SEGMENT_DIGEST_WRONG")
    wrong_sha = f"sha-256=:{b64encode(bytes(32)).decode()}:"
    assert await refused(1, data[:SEGMENT_BYTES], Content_Digest=wrong_sha) == (400, "SEGMENT_DIGEST_WRONG")
    assert await refused(1, data[:SEGMENT_BYTES], Content_MD5="?") == (400, "DIGEST_NOT_SUPPORTED")
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=1)
    assert await refused(1, bomb, Content_Encoding="gzip") == (415, "ENCODING_NOT_SUPPORTED")
    assert await refused(1, bomb) == (400, "SEGMENT_LENGTH_WRONG")
    assert (await cell.status(upload["id"]))["missing_segments"] == [[1, 4]]

    unknown = "/v1/uploads/00000000-0000-7000-8000-000000000000"
    assert (await cell.call("GET", unknown))[0] == 404
    assert (await cell.call("PUT", f"{unknown}/segments/1", data=b"x"))[1]["error"]["code"] == "UPLOAD_NOT_FOUND"

    await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
    await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
    assert await refused(1, data[:SEGMENT_BYTES]) == (409, "UPLOAD_ENDED")
    await cell.until_clean()


async def _raw(cell: Cell, head: str, body: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = cell.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write((head.replace("\n", "\r\n") + f"Host: {host}\r\n\r\n").encode() + body)
    await writer.drain()
    return reader, writer


async def test_a_body_that_never_ends(cell: Cell) -> None:
    upload = await cell.create(2 * SEGMENT_BYTES)
    head = f"PUT /v1/uploads/{upload['id']}/segments/1 HTTP/1.1\nTransfer-Encoding: chunked\n"
    reader, writer = await _raw(cell, head)
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"

    async def pour() -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    pouring = asyncio.create_task(pour())
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert answer.startswith(b"HTTP/1.1 400"), answer
        # The connection is closed soon after: an endless body cannot hold it open.
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(pouring, 60)
    finally:
        pouring.cancel()
        writer.transport.abort()
    assert (await cell.status(upload["id"]))["missing_segments"] == [[1, 2]]
    await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
    await cell.until_clean()


async def test_a_body_that_stalls(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(servers, tmp_path, segment_stall_seconds=0.5) as cell:
        upload = await cell.create(2 * SEGMENT_BYTES)
        head = f"PUT /v1/uploads/{upload['id']}/segments/1 HTTP/1.1\nContent-Length: {SEGMENT_BYTES}\n"
        reader, writer = await _raw(cell, head, bytes(1000))
        answer = await asyncio.wait_for(reader.read(), 30)  # to the end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b"SEGMENT_STALLED" in answer
        writer.close()
        assert (await cell.status(upload["id"]))["missing_segments"] == [[1, 2]]


async def test_an_upload_cancelled_while_segments_arrive_leaves_nothing(cell: Cell) -> None:
    data = sample("mp4").read_bytes().ljust(12 * SEGMENT_BYTES, b"\0")
    upload = await cell.create(len(data))
    # All but the last, so that the upload cannot end before it is cancelled.
    sending = asyncio.gather(*(cell.put(upload, number, data) for number in range(1, upload["segment_count"])))

    async def some_stored() -> bool:
        return int((await cell.status(upload["id"]))["bytes_stored"]) > 0

    await eventually(some_stored, 30, lambda: "a segment to be stored")
    await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
    await sending
    await cell.until(upload["id"], "cancelled")
    await cell.until_clean()
