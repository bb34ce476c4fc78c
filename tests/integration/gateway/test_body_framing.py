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
        await wire.send(framed + b"0\r\nX-Trailer: fine\r\n\r\n")
        head = await wire.head()
        assert head.status == 200
        await wire.body(head)
        await wire.begin("GET", "/healthz", {})
        assert (await wire.head()).status == 200
