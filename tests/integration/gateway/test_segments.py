"""Segments over HTTP: correct bodies, and bodies that are wrong in many ways."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from dataclasses import replace
from typing import Any

import google_crc32c
import pytest

from gateway.http.reading import LARGE_READ_BYTES
from pipeline.telemetry import REGISTRY
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import receiving
from tests.integration.gateway.wire import Wire, connect

pytestmark = pytest.mark.integration

SEGMENT = bytes(range(256)) * (SEGMENT_BYTES // 256)


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def path(upload: dict[str, Any], number: int = 1) -> str:
    return f"/v1/uploads/{upload['id']}/segments/{number}"


async def missing(gateway: Gateway, upload: dict[str, Any]) -> list[list[int]]:
    found: list[list[int]] = (await gateway.client.request("GET", f"/v1/uploads/{upload['id']}")).data[
        "missing_segments"
    ]
    return found


async def test_segments_in_any_order_and_twice(gateway: Gateway) -> None:
    upload = await gateway.create()
    last = SEGMENT[: 150_000 - 2 * SEGMENT_BYTES]
    for number, body in ((3, last), (1, SEGMENT), (1, SEGMENT)):
        response = await gateway.client.request("PUT", path(upload, number), data=body)
        assert response.status == 200
        assert response.data["crc32c"] == f"{google_crc32c.value(body):08x}"
    assert response.data["repeated"] is True
    assert await missing(gateway, upload) == [[2, 2]]
    response = await gateway.client.request("PUT", path(upload, 2), data=SEGMENT)
    assert response.data["upload_status"] == "processing"
    content = (
        gateway.settings.temp_dir / next(item.name for item in gateway.settings.temp_dir.glob("*.data"))
    ).read_bytes()
    assert content[: 2 * SEGMENT_BYTES] == SEGMENT * 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": b64(hashlib.md5(SEGMENT, usedforsecurity=False).digest())},
        {"Content-Digest": f"sha-256=:{b64(hashlib.sha256(SEGMENT).digest())}:, sha-512=:AAAA:"},
        {"Content-Digest": f"crc32c=:{b64(google_crc32c.value(SEGMENT).to_bytes(4, 'big'))}:"},
        {"Content-Encoding": "identity"},
    ],
)
async def test_a_digest_that_matches(gateway: Gateway, headers: dict[str, str]) -> None:
    response = await gateway.client.request("PUT", path(await gateway.create()), data=SEGMENT, headers=headers)
    assert response.status == 200


@pytest.mark.parametrize(
    ("number", "body", "headers", "status", "code"),
    [
        (0, SEGMENT, {}, 404, "SEGMENT_OUT_OF_RANGE"),
        (4, SEGMENT, {}, 404, "SEGMENT_OUT_OF_RANGE"),
        ("x", SEGMENT, {}, 422, "VALIDATION_FAILED"),
        ("9" * 5000, SEGMENT, {}, 422, "VALIDATION_FAILED"),
        (1, SEGMENT[:-1], {}, 400, "SEGMENT_LENGTH_WRONG"),
        (1, SEGMENT + b"x", {}, 400, "SEGMENT_LENGTH_WRONG"),
        (1, b"", {}, 400, "SEGMENT_LENGTH_WRONG"),
        (1, SEGMENT, {"Content-Digest": f"md5=:{b64(bytes(16))}:"}, 400, "SEGMENT_DIGEST_WRONG"),
        (1, SEGMENT, {"Content-Digest": f"sha-256=:{b64(bytes(32))}:"}, 400, "SEGMENT_DIGEST_WRONG"),
        (1, SEGMENT, {"Content-Digest": "sha-512=:AAAA:"}, 400, "DIGEST_NOT_SUPPORTED"),
        (1, SEGMENT, {"Content-Encoding": "gzip"}, 415, "ENCODING_NOT_SUPPORTED"),
    ],
)
async def test_a_wrong_segment_is_refused_and_stays_missing(
    gateway: Gateway, number: int | str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    upload = await gateway.create()
    response = await gateway.client.request(
        "PUT", f"/v1/uploads/{upload['id']}/segments/{number}", data=body, headers=headers
    )
    assert (response.status, response.code) == (status, code)
    assert await missing(gateway, upload) == [[1, 3]]


async def test_different_bytes_for_a_received_segment(gateway: Gateway) -> None:
    upload = await gateway.create()
    await gateway.client.request("PUT", path(upload), data=SEGMENT)
    response = await gateway.client.request("PUT", path(upload), data=SEGMENT[::-1])
    assert (response.status, response.code) == (409, "SEGMENT_DIFFERS")


async def test_a_waiting_upload_is_refused_before_its_body_is_requested(gateway: Gateway) -> None:
    await gateway.create(1024 * 1024)
    upload = await gateway.create(1024 * 1024)
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Content-Length": str(SEGMENT_BYTES), "Expect": "100-continue"})
        head = await wire.head()
        assert head.status == 409
        assert int(head.headers["retry-after"]) >= 1
        assert head.headers["connection"] == "close"
        assert (await wire.body(head))["error"]["code"] == "UPLOAD_WAITING"
        await wire.closed()


async def test_an_acceptable_body_is_requested(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Content-Length": str(SEGMENT_BYTES), "Expect": "100-continue"})
        assert (await wire.head()).status == 100
        await wire.send(SEGMENT)
        assert (await wire.head()).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [("/v1/uploads/nope/segments/1", 404), ("/nowhere", 404), ("/healthz", 405), ("/v1/uploads", 422)],
)
async def test_the_body_of_a_refused_request_is_not_requested(gateway: Gateway, target: str, status: int) -> None:
    method = "POST" if target == "/v1/uploads" else "PUT"
    headers = {"Content-Length": "10", "Expect": "100-continue", "Idempotency-Key": "not ok"}
    async with connect(gateway.url) as wire:
        await wire.begin(method, target, headers)
        assert (await wire.head()).status == status


async def test_a_gzip_bomb_is_refused_unread(gateway: Gateway) -> None:
    upload = await gateway.create()
    bomb = gzip.compress(bytes(50_000_000))
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(bomb)), "Expect": "100-continue"}
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), headers)
        head = await wire.head()
        assert head.status == 415
        assert (await wire.body(head))["error"]["code"] == "ENCODING_NOT_SUPPORTED"
    # Without that header it is a body like any other: it has the wrong length and is not decompressed.
    response = await gateway.client.request("PUT", path(upload), data=bomb)
    assert response.code == "SEGMENT_LENGTH_WRONG"
    assert response.detail["received_bytes"] <= len(bomb)


@pytest.mark.parametrize("stall_seconds", [0.5])
async def test_a_body_that_stalls_is_refused(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Content-Length": str(SEGMENT_BYTES)}, SEGMENT[:1000])
        head = await wire.head()
        assert head.status == 408
        assert head.headers["connection"] == "close"
        assert (await wire.body(head))["error"]["code"] == "SEGMENT_STALLED"
        await wire.closed()
    assert await missing(gateway, upload) == [[1, 3]]
    assert REGISTRY.get_sample_value("sluice_receive_buffered_bytes") == 0


async def test_an_endless_body_is_refused_at_the_expected_length(gateway: Gateway) -> None:
    upload = await gateway.create()
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Transfer-Encoding": "chunked"})

        async def pour() -> None:
            while True:
                await wire.send(chunk)

        pouring = asyncio.create_task(pour())
        head = await wire.head()
        assert head.status == 400
        error = (await wire.body(head))["error"]
        assert error["code"] == "SEGMENT_LENGTH_WRONG"
        assert error["detail"]["received_bytes"] <= SEGMENT_BYTES + 3 * LARGE_READ_BYTES  # what may be unread
        await wire.closed()
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(10):
                await pouring
    assert await missing(gateway, upload) == [[1, 3]]


async def test_a_chunked_body_that_ends_too_early(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n")
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (400, "SEGMENT_LENGTH_WRONG")


async def test_a_disconnect_causes_no_traceback(gateway: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Content-Length": str(SEGMENT_BYTES)}, SEGMENT[:1000])
        await receiving(1)
    await receiving(0)
    assert await missing(gateway, upload) == [[1, 3]]
    log = capfd.readouterr()
    assert "Traceback" not in log.out + log.err
    assert "SEGMENT_CUT_OFF" in log.out + log.err


async def test_broken_chunks_are_refused(gateway: Gateway) -> None:
    """At once: aiohttp does not report framing that breaks within a body, so that it would seem to stall."""
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", path(upload), {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n")
        await receiving(1)
        await wire.send(b"no length\r\n")
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (400, "REQUEST_MALFORMED")
        await wire.closed()
    assert await missing(gateway, upload) == [[1, 3]]


@pytest.mark.parametrize("options", [replace(OPTIONS, linger_seconds=20)])
async def test_a_client_that_keeps_sending_receives_the_refusal(gateway: Gateway) -> None:
    """The client sends for a while before it reads. No reset interrupts its sending or destroys the response."""
    async with connect(gateway.url) as wire:
        await wire.begin("PUT", "/v1/uploads/nope/segments/1", {"Content-Length": str(100 * SEGMENT_BYTES)})
        for _ in range(20):
            await wire.send(SEGMENT[:4096])
            await asyncio.sleep(0.01)  # the pace, well within `linger_seconds`
        assert (await wire.head()).status == 404


async def test_several_segments_on_one_connection(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        for number in (1, 2):
            await _put(wire, path(upload, number))


async def _put(wire: Wire, target: str) -> None:
    await wire.begin("PUT", target, {"Content-Length": str(SEGMENT_BYTES)}, SEGMENT)
    head = await wire.head()
    assert head.status == 200
    assert "connection" not in head.headers
    await wire.body(head)
