"""What frames a chunked body costs a client as much as a body does, and the gateway nothing that has no end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.integration.gateway.conftest import SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import becomes
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration

CHUNKED = {"Transfer-Encoding": "chunked"}
BLOCK = 4096


def one_endless_extension() -> Iterator[bytes]:
    yield b"1;"
    while True:
        yield b"a" * BLOCK


def an_extension_for_each_byte() -> Iterator[bytes]:
    while True:
        yield b"1;" + b"a" * BLOCK + b"\r\nx\r\n"


def endless_zeros_of_a_size() -> Iterator[bytes]:
    while True:
        yield b"0" * BLOCK


def endless_trailers() -> Iterator[bytes]:
    yield b"1\r\nx\r\n0\r\n"
    while True:
        yield b"X-Trailer: " + b"a" * BLOCK + b"\r\n"


@pytest.mark.parametrize(
    "body", [one_endless_extension, an_extension_for_each_byte, endless_zeros_of_a_size, endless_trailers]
)
@pytest.mark.parametrize("kind", ["segment", "json"])
async def test_framing_without_end_is_refused(
    gateway: Gateway, body: Callable[[], Iterator[bytes]], kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    upload = await gateway.create()
    path = {"segment": f"/v1/uploads/{upload['id']}/segments/1", "json": "/v1/uploads"}[kind]
    method = {"segment": "PUT", "json": "POST"}[kind]
    async with connect(gateway.url) as wire:
        await wire.begin(method, path, {**CHUNKED, "Content-Type": "application/json"})
        sent = 0

        async def pour() -> None:
            nonlocal sent
            for block in body():
                await wire.send(block)
                sent += len(block)

        pouring = asyncio.create_task(pour())
        head = await wire.head()
        assert head.status == 400
        assert (await wire.body(head))["error"]["code"] == "REQUEST_MALFORMED"
        await wire.closed()
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(10):
                await pouring
    await becomes("sluice_receiving_segments", 0)
    log = capfd.readouterr()
    assert "Traceback" not in log.out + log.err


@pytest.mark.parametrize(("chunk_bytes", "extension"), [(5, b""), (64, b";name=value"), (4096, b";name=value")])
async def test_small_chunks_are_no_fault(gateway: Gateway, chunk_bytes: int, extension: bytes) -> None:
    upload = await gateway.create()
    data = bytes(SEGMENT_BYTES)
    chunks = (data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes))
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", f"/v1/uploads/{upload['id']}/segments/1", CHUNKED)
        await wire.send(framed + b"0\r\n\r\n")
        head = await wire.head()
        assert head.status == 200
        await wire.body(head)
        await wire.begin("GET", "/healthz", {})
        assert (await wire.head()).status == 200


LAST_CHUNKS = {
    "plain": b"0\r\n\r\n",
    "a trailer": b"0\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
    "two trailers": b"0\r\nX-Trailer: fine\r\nAuthorization: Bearer x\r\n\r\n",
    "an extension": b"0;a=b\r\n\r\n",
    "zeros": b"000\r\n\r\n",
}


@pytest.mark.parametrize("kind", LAST_CHUNKS)
@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_trailer_does_not_reach_the_next_request(gateway: Gateway, kind: str, *, pipelined: bool) -> None:
    """The connection is closed unless the body has ended without trailers: aiohttp's parser would add the last one to
    the headers of the next request. A request that came with the first one is not served then."""
    upload = await gateway.create()
    path = f"/v1/uploads/{upload['id']}/segments/1"
    data, ending = bytes(SEGMENT_BYTES), LAST_CHUNKS[kind]
    follows = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n" if pipelined else b""
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path, CHUNKED, b"%x\r\n%b\r\n%b%b" % (len(data), data, ending, follows))
        head = await wire.head()
        assert head.status == 200
        await wire.body(head)
        if kind == "plain" and not pipelined:
            await wire.begin("GET", "/healthz", {})
            assert (await wire.head()).status == 200
        else:
            assert head.headers["connection"] == "close"
            await wire.closed()


@pytest.mark.parametrize("at", range(1, len(LAST_CHUNKS["plain"]) + 2))
async def test_a_body_may_end_in_two_packets(gateway: Gateway, at: int) -> None:
    upload = await gateway.create()
    framed = b"%x\r\n%b\r\n%b" % (SEGMENT_BYTES, bytes(SEGMENT_BYTES), LAST_CHUNKS["plain"])
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", f"/v1/uploads/{upload['id']}/segments/1", CHUNKED, framed[:-at])
        await asyncio.sleep(0)
        await wire.send(framed[-at:])
        head = await wire.head()
        assert (head.status, "connection" in head.headers) == (200, False)
