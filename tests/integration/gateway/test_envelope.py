"""Every error has the envelope: unknown paths, invalid HTTP, bodies that do not parse, crashes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gateway.options import GatewayOptions
from pipeline.core.errors import DependencyUnavailable
from tests.integration.gateway.conftest import OPTIONS, Gateway
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "target", ["/", "/v1", "/v1/", "/v1/uploads/", "/v2/uploads", "/%zz", "/v1/uploads/x/segments"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_an_unknown_path(gateway: Gateway, method: str, target: str) -> None:
    response = await gateway.client.request(method, target)
    assert (response.status, response.code) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("line", ["OPTIONS * HTTP/1.1", "CONNECT a:80 HTTP/1.1", "GET http://other/x HTTP/1.1"])
async def test_targets_that_are_not_a_path(gateway: Gateway, line: str) -> None:
    async with connect(gateway.url) as wire:
        await wire.send(f"{line}\r\nHost: x\r\n\r\n".encode())
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("PATCH", "/v1/uploads", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/v1/uploads/u", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/v1/uploads/u/segments/1", "OPTIONS, PUT"),
        ("DELETE", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method(gateway: Gateway, method: str, target: str, allowed: str) -> None:
    response = await gateway.client.request(method, target)
    assert (response.status, response.code) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == response.detail["allowed"] == allowed


async def test_options_and_head(gateway: Gateway) -> None:
    response = await gateway.client.request("OPTIONS", "/v1/uploads")
    assert (response.status, response.data) == (200, {"allowed": ["GET", "HEAD", "OPTIONS", "POST"]})
    head = await gateway.client.request("HEAD", "/v1/uploads")
    assert (head.status, int(head.headers["Content-Length"]) > 0) == (200, True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"HELO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_requests_that_are_not_http(gateway: Gateway, request_bytes: bytes) -> None:
    async with connect(gateway.url) as wire:
        await wire.send(request_bytes)
        head = await wire.head()
        body = await wire.body(head)
        assert (head.status, body["error"]["code"]) == (400, "REQUEST_MALFORMED")
        assert head.headers["x-request-id"] == body["error"]["request_id"]
        assert "aaaa" not in body["error"]["message"]
        assert [head.headers[name] for name in ("vary", "cache-control", "x-content-type-options")] == [
            "Origin",
            "no-store",
            "nosniff",
        ]
        await wire.closed()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "BODY_NOT_JSON"),
        (b"{", {}, 400, "BODY_NOT_JSON"),
        (b"[]", {}, 400, "BODY_NOT_JSON"),
        (b'"x"', {}, 400, "BODY_NOT_JSON"),
        (b'{"filename": "\xff"}', {}, 400, "BODY_NOT_JSON"),
        (b"[" * 60_000, {}, 400, "BODY_NOT_JSON"),
        (b"{}", {}, 422, "VALIDATION_FAILED"),
        (b" " * 70_000, {}, 413, "BODY_TOO_LARGE"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"),
        (gzip.compress(b"{}", mtime=0), {"Content-Encoding": "gzip"}, 415, "ENCODING_NOT_SUPPORTED"),
    ],
)
async def test_bodies_that_do_not_parse(
    gateway: Gateway, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json", **headers}
    response = await gateway.client.request("POST", "/v1/uploads", data=body, headers=headers)
    assert (response.status, response.code) == (status, code)


async def test_a_chunked_json_body_is_bounded_too(gateway: Gateway) -> None:
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    async with connect(gateway.url) as wire:
        await wire.begin("POST", "/v1/uploads", headers, b"11170\r\n" + b" " * 70_000 + b"\r\n")
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (413, "BODY_TOO_LARGE")
        await wire.closed()


@pytest.mark.parametrize("options", [replace(OPTIONS, body_seconds=0.5)])
async def test_a_json_body_that_stalls_is_refused(gateway: Gateway) -> None:
    async with connect(gateway.url) as wire:
        await wire.begin("POST", "/v1/uploads", {"Content-Type": "application/json", "Content-Length": "10"}, b"{")
        head = await wire.head()
        assert (head.status, (await wire.body(head))["error"]["code"]) == (408, "BODY_TIMEOUT")
        await wire.closed()


async def test_a_request_id_is_returned(gateway: Gateway) -> None:
    response = await gateway.client.request("GET", "/v1/uploads/nope", headers={"X-Request-Id": "mine-1"})
    assert response.headers["X-Request-Id"] == response.json["error"]["request_id"] == "mine-1"


async def test_a_crash_is_logged_and_not_shown(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(gateway.services.lookup), "detail", _raises(RuntimeError("the secret text")))
    response = await gateway.client.request("GET", "/v1/uploads/u")
    assert (response.status, response.code, response.detail) == (500, "INTERNAL", {})
    assert b"secret" not in response.body
    log = capfd.readouterr()
    assert "the secret text" in log.out + log.err
    assert response.headers["X-Request-Id"] in log.out + log.err


async def test_an_unavailable_redis_gives_retry_after(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    unavailable = DependencyUnavailable("REDIS_UNAVAILABLE", reason="down")
    monkeypatch.setattr(type(gateway.services.lookup), "detail", _raises(unavailable))
    response = await gateway.client.request("GET", "/v1/uploads/u")
    assert (response.status, response.code) == (503, "REDIS_UNAVAILABLE")
    assert int(response.headers["Retry-After"]) >= 1


class TestSlowHeaders:
    """A client that never finishes its headers is disconnected after `idle_seconds`."""

    @pytest.fixture
    def options(self) -> GatewayOptions:
        return replace(OPTIONS, idle_seconds=0.5)

    async def test_slow_loris(self, gateway: Gateway) -> None:
        async with connect(gateway.url) as wire:
            await wire.send(b"GET /healthz HTTP/1.1\r\n")

            async def dribble() -> None:
                while True:
                    await wire.send(b"X-A: b\r\n")
                    await asyncio.sleep(0.05)

            dribbling = asyncio.create_task(dribble())
            await wire.closed()
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(10):
                    await dribbling


def _raises(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_: object) -> None:
        raise error

    return fail
