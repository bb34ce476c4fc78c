"""Checksum-trailer of tus 1.0 on raw connections: a chunked body, and its digest behind it."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.http.trailers import TRAILER_BYTES
from pipeline.settings import Settings
from tests.integration.gateway.conftest import SEGMENT_BYTES, Gateway
from tests.integration.gateway.resumable import BODY, PARTIAL, SIZE, TUS, draft_file, new_file, offset
from tests.integration.gateway.wire import Head, connect

pytestmark = pytest.mark.integration

NAMES = {"sha1": "sha1", "md5": "md5", "sha256": "sha256"}
DECLARED = {**TUS, **BODY, "Transfer-Encoding": "chunked", "Trailer": "Upload-Checksum"}
AT_CREATION = {"Upload-Offset": None, "Upload-Length": str(SIZE)}


def field(data: bytes, name: str = "sha1") -> bytes:
    digest = hashlib.new(NAMES[name], data, usedforsecurity=False).digest()
    return b"Upload-Checksum: %b %b\r\n" % (name.encode(), b64encode(digest))


def framed(data: bytes, trailers: bytes = b"", chunk_bytes: int = 50_000) -> bytes:
    chunks = (data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes))
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


async def send(
    gateway: Gateway,
    path: str,
    *packets: bytes,
    method: str = "PATCH",
    start: int = 0,
    headers: Mapping[str, str | None] | None = None,
) -> tuple[Head, dict[str, Any]]:
    """Send a request whose body has these packets. The connection has to be closed after the response, unless the body
    is chunked and has no trailers."""
    sent = {**DECLARED, "Upload-Offset": str(start), **(headers or {})}
    async with connect(gateway.url) as wire:
        await wire.begin(method, path, {name: text for name, text in sent.items() if text is not None})
        for packet in packets:
            await wire.send(packet)
        head = await wire.head()
        body = await wire.body(head) if "content-length" in head.headers and head.status >= 400 else {}
        if not packets[-1].endswith(b"\r\n0\r\n\r\n"):
            await wire.closed()
    return head, body


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_that_matches(gateway: Gateway, name: str) -> None:
    """Over several segments; the last one is partial."""
    path, data = await new_file(gateway), os.urandom(SEGMENT_BYTES + 1000)
    head, _ = await send(gateway, path, framed(data, field(data, name)))
    assert (head.status, head.headers["upload-offset"]) == (204, str(len(data)))
    more = os.urandom(10)
    head, _ = await send(gateway, path, framed(more, field(more, name)), start=len(data))
    assert head.headers["upload-offset"] == str(len(data) + 10)


async def test_a_body_that_differs_does_not_count(gateway: Gateway) -> None:
    path, data = await new_file(gateway), os.urandom(SEGMENT_BYTES + 1000)
    head, body = await send(gateway, path, framed(data[:-1] + bytes([data[-1] ^ 1]), field(data)))
    assert (head.status, body["error"]["code"]) == (460, "APPEND_DIGEST_WRONG")
    assert await offset(gateway, path) == 0


async def test_every_split_of_a_request(gateway: Gateway) -> None:
    """The head too may arrive in several packets."""
    path = await new_file(gateway)
    body = framed(b"abcd", field(b"abcd"), chunk_bytes=3)
    for start, at in enumerate(range(len(body))):
        head, _ = await send(gateway, path, body[:at], body[at:], start=4 * start)
        assert (head.status, head.headers["upload-offset"]) == (204, str(4 * start + 4))
    reached = 4 * len(body)
    headers = {"Host": "test", **DECLARED, "Upload-Offset": str(reached)}
    lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    text = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    for at in (1, 10, text.index(b"Trailer") + 3, text.index(b"\r\n\r\n") + 2, text.index(b"\r\n\r\n") + 4):
        async with connect(gateway.url) as wire:
            sending = text.replace(b"Upload-Offset: %d\r\n" % (4 * len(body)), b"Upload-Offset: %d\r\n" % reached)
            await wire.send(sending[:at])
            await wire.send(sending[at:])
            assert (await wire.head()).headers["upload-offset"] == str(reached + 4)
        reached += 4


@pytest.mark.parametrize(
    ("trailers", "headers", "code"),
    [
        (b"", {}, "CHECKSUM_NOT_SUPPORTED"),
        (b"X-Other: 1\r\n", {}, "CHECKSUM_NOT_SUPPORTED"),
        (b"Upload-Checksum:\r\n", {}, "CHECKSUM_NOT_SUPPORTED"),
        (b"Upload-Checksum: crc32 AAAAAA==\r\n", {}, "CHECKSUM_NOT_SUPPORTED"),
        (b"Upload-Checksum: sha1 AAAA\r\n", {}, "CHECKSUM_NOT_SUPPORTED"),
        (field(b"abcd") * 2, {}, "CHECKSUM_NOT_SUPPORTED"),
        (field(b"abcd"), {"Upload-Checksum": "sha1 gf6Ln6X2Bh4rkFKwqM0VRMVVmA4="}, "CHECKSUM_NOT_SUPPORTED"),
        (field(b"abcd"), {"Trailer": "Upload-Checksum, Content-Digest"}, "CHECKSUM_NOT_SUPPORTED"),
        (b"X: " + b"a" * 4500 + b"\r\nY: " + b"a" * (TRAILER_BYTES - 4500) + b"\r\n", {}, "REQUEST_MALFORMED"),
        (b"no field\r\n", {}, "REQUEST_MALFORMED"),
        (b"Upload-Checksum : sha1 x\r\n", {}, "REQUEST_MALFORMED"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_body_without_a_valid_trailer_does_not_count(
    gateway: Gateway, trailers: bytes, headers: Mapping[str, str], code: str, method: str
) -> None:
    path = await new_file(gateway)
    if method == "POST":
        named = {**AT_CREATION, **headers}
        head, body = await send(gateway, "/files/", framed(b"abcd", trailers), method=method, headers=named)
    else:
        head, body = await send(gateway, path, framed(b"abcd", trailers), headers=headers)
    assert (head.status, body["error"]["code"], "location" in head.headers) == (400, code, False)
    assert await offset(gateway, path) == 0


async def test_a_creation_with_a_trailer(gateway: Gateway) -> None:
    head, _ = await send(gateway, "/files/", framed(b"abcd", field(b"abcd")), method="POST", headers=AT_CREATION)
    assert (head.status, head.headers["upload-offset"]) == (201, "4")
    head, body = await send(gateway, "/files/", framed(b"abcX", field(b"abcd")), method="POST", headers=AT_CREATION)
    assert (head.status, body["error"]["code"]) == (460, "APPEND_DIGEST_WRONG")


async def test_a_trailer_that_was_not_declared_is_ignored(gateway: Gateway) -> None:
    path = await new_file(gateway)
    head, _ = await send(gateway, path, framed(b"abcd", field(b"other")), headers={"Trailer": None})
    assert (head.status, head.headers["upload-offset"]) == (204, "4")
    head, _ = await send(gateway, path, framed(b"abcd", field(b"other")), start=4, headers={"Trailer": "X-Other"})
    assert (head.status, head.headers["upload-offset"]) == (204, "8")


async def test_a_body_of_known_length_has_no_trailers(gateway: Gateway) -> None:
    path = await new_file(gateway)
    head, body = await send(gateway, path, b"abcd", headers={"Transfer-Encoding": None, "Content-Length": "4"})
    assert (head.status, body["error"]["code"]) == (400, "CHECKSUM_NOT_SUPPORTED")


@pytest.mark.parametrize("cut", [1, 3, 10, 40])
async def test_a_body_that_is_cut_off_does_not_count(gateway: Gateway, cut: int) -> None:
    """Before the trailer section has ended."""
    path = await new_file(gateway)
    async with connect(gateway.url) as wire:
        await wire.begin("PATCH", path, {**DECLARED, "Upload-Offset": "0"}, framed(b"abcd", field(b"abcd"))[:-cut])
    assert await offset(gateway, path) == 0


async def test_a_request_before_the_response_to_another_is_refused(gateway: Gateway) -> None:
    """It is not clear where its head begins."""
    path = await new_file(gateway)
    first = "GET /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"
    names = {"Host": "test", **DECLARED, "Upload-Offset": "0"}
    lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {text}" for name, text in names.items())]
    async with connect(gateway.url) as wire:
        await wire.send(first.encode() + ("\r\n".join(lines) + "\r\n\r\n").encode() + framed(b"abcd", field(b"abcd")))
        await wire.closed()
    assert await offset(gateway, path) == 0
    async with connect(gateway.url) as wire:
        second = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n" + ("\r\n".join(lines) + "\r\n\r\n").encode()
        await wire.send(second + framed(b"abcd", field(b"abcd")))
        await wire.body(await wire.head())
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (400, "REQUEST_MALFORMED")
        await wire.closed()
    assert await offset(gateway, path) == 0


async def test_a_connection_that_has_served_another_request(gateway: Gateway) -> None:
    path = await new_file(gateway)
    async with connect(gateway.url) as wire:
        for _ in range(2):
            await wire.begin("GET", "/healthz", {})
            await wire.body(await wire.head())
        await wire.begin("PATCH", path, {**DECLARED, "Upload-Offset": "0"}, framed(b"abcd", field(b"abcd")))
        assert (await wire.head()).headers["upload-offset"] == "4"


async def test_a_content_digest_as_a_trailer(gateway: Gateway) -> None:
    """RFC 9530 section 2 allows it, for clients of the draft."""
    path = await draft_file(gateway)
    digest = b64encode(hashlib.sha256(b"abcd").digest()).decode()
    trailer = f"Content-Digest: sha-256=:{digest}:\r\n".encode()
    draft = {**PARTIAL, "Tus-Resumable": None, "Upload-Complete": "?0", "Trailer": "content-digest"}
    head, body = await send(gateway, path, framed(b"abcX", trailer), headers=draft)
    assert (head.status, body["error"]["code"]) == (400, "APPEND_DIGEST_WRONG")
    head, body = await send(gateway, path, framed(b"abcd"), headers=draft)
    assert (head.status, body["error"]["code"]) == (400, "CHECKSUM_NOT_SUPPORTED")
    head, _ = await send(gateway, path, framed(b"abcd", trailer), headers=draft)
    assert (head.status, head.headers["upload-offset"]) == (204, "4")


class TestWindowed:
    """A file larger than the temp volume: until its trailer arrives, a body has to fit beside the reader's segments."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"temp_budget_bytes": 8 * SEGMENT_BYTES})

    async def test_a_chunked_body_ends_where_it_no_longer_fits(self, gateway: Gateway) -> None:
        path, data = await new_file(gateway, 20 * SEGMENT_BYTES), os.urandom(8 * SEGMENT_BYTES)
        head, body = await send(gateway, path, framed(data, field(data)))
        assert (head.status, body["error"]["code"]) == (413, "APPEND_TOO_LARGE")
        assert await offset(gateway, path) == 0
        fits = data[: body["error"]["detail"]["limit_bytes"]]
        head, _ = await send(gateway, path, framed(fits, field(fits)))
        assert (head.status, head.headers["upload-offset"]) == (204, str(len(fits)))
