"""`WebhookHttpSender` against real servers on loopback: what it connects to, and what an endpoint can cost it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.adapters.webhook_sender import WebhookHttpSender
from pipeline.core.public_addresses import parse_networks
from pipeline.core.webhooks import Attempt
from tests.harness.certificates import TestCa

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])
HEADERS = {"Content-Type": "application/json", "webhook-id": "an-id"}
BODY = b'{"type": "webhook.test"}'
LONG_SECONDS = 30.0
NOT_PUBLIC = "its address is not public; SLUICE_WEBHOOK_NETWORKS can allow its network"


@dataclass
class Endpoint:
    """A server that sends `response` and then runs `then`, until the connection ends."""

    response: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    then: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Content-Length"))
            self.bodies.append(await reader.readexactly(int(length)))
            writer.write(self.response)
            if self.then is not None:
                await self.then(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender has left
        finally:
            writer.close()


@asynccontextmanager
async def serving(endpoint: Endpoint, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The endpoint's URL."""
    server = await asyncio.start_server(endpoint.serve, host, 0, ssl=tls)
    endpoint.port = server.sockets[0].getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http{'s' if tls else ''}://{name}:{endpoint.port}/sluice?x=1"
    finally:
        server.close()


async def send(
    url: str, *, allowed: bool = True, timeout_seconds: float = LONG_SECONDS, ca_file: Path | None = None
) -> Attempt:
    async with WebhookHttpSender(LOOPBACK if allowed else (), timeout_seconds, ca_file) as sender:
        return await sender.send(url, HEADERS, BODY)


async def test_an_event_is_posted_once() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        assert await send(url) == Attempt(204)
    (head,) = endpoint.heads
    assert head.startswith("POST /sluice?x=1 HTTP/1.1\r\n")
    assert "webhook-id: an-id\r\n" in head
    assert endpoint.bodies == [BODY]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_nothing_connects_to_an_address_that_is_not_allowed(name: str) -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        found = await send(url.replace("http://127.0.0.1", f"https://{name}"), allowed=False)
        # aiohttp takes `127.1` for an invalid URL.
        assert (found.status, found.error) in ((None, NOT_PUBLIC), (None, "the URL is invalid"))
    assert endpoint.connections == 0


async def test_a_name_that_leads_to_an_allowed_network_is_called() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        assert await send(url.replace("127.0.0.1", "localhost")) == Attempt(204)
    assert "Host: localhost:" in endpoint.heads[0]


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:2800:220:1:248:1893:25c8:1946]"])
async def test_http_is_for_allowed_networks_alone(host: str) -> None:
    found = await send(f"http://{host}/")
    assert (found.status, "use https" in (found.error or "")) == (None, True)


@pytest.mark.parametrize("url", ["https://[::1", "https://", "ftp://127.0.0.1/", "https://a..b/", "nonsense"])
async def test_a_url_that_cannot_be_called_is_a_failed_attempt(url: str) -> None:
    found = await send(url)
    assert found.status is None
    assert found.error


async def test_a_port_that_nobody_listens_on() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        pass
    assert await send(url) == Attempt(None, "Connection refused")


async def test_a_redirect_is_not_followed() -> None:
    target = Endpoint()
    async with serving(target) as there:
        location = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
        async with serving(Endpoint(location.encode())) as url:
            assert await send(url) == Attempt(307, "it responded 307; redirects are not followed")
    assert target.connections == 0


async def never(writer: asyncio.StreamWriter) -> None:
    """Until the sender has left."""
    await writer.wait_closed()


@pytest.mark.parametrize(
    "response", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_an_endpoint_that_hangs_costs_its_time_and_no_more(response: bytes) -> None:
    async with serving(Endpoint(response, never)) as url:
        assert await send(url, timeout_seconds=0.5) == Attempt(None, "no response within 0.5 s")


async def test_a_head_that_never_ends_is_a_failed_attempt() -> None:
    async def fields(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"X-Field: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with serving(Endpoint(b"HTTP/1.1 200 OK\r\n", fields)) as url:
        found = await send(url)
    assert (found.status, bool(found.error)) == (None, True)


async def test_a_body_without_end_is_not_read() -> None:
    sent = 0
    left = asyncio.Event()

    async def blocks(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(bytes(64 * 1024))
                await writer.drain()
                sent += 64 * 1024
        finally:
            left.set()

    async with serving(Endpoint(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", blocks)) as url:
        assert await send(url) == Attempt(200)
        async with asyncio.timeout(LONG_SECONDS):
            await left.wait()
    assert sent < 32 * 1024 * 1024, "what the kernel's buffers hold"


async def test_a_bomb_is_not_decompressed() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    async with serving(Endpoint(head)) as url:
        assert await send(url) == Attempt(200)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ("Retry-After: 120", 120),
        ("Date: Fri, 27 Nov 2026 12:00:00 GMT\r\nRetry-After: Fri, 27 Nov 2026 12:01:30 GMT", 90),
        ("Retry-After: soon", None),
        ("Retry-After: -5", None),
        ("X: 1", None),
    ],
)
async def test_retry_after_is_read(fields: str, seconds: float | None) -> None:
    response = f"HTTP/1.1 503 Service Unavailable\r\n{fields}\r\nContent-Length: 0\r\n\r\n"
    async with serving(Endpoint(response.encode())) as url:
        assert await send(url) == Attempt(503, "it responded 503", seconds)


@pytest.mark.parametrize("response", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"])
async def test_what_is_no_response_is_a_failed_attempt(response: bytes) -> None:
    async with serving(Endpoint(response)) as url:
        found = await send(url)
    assert (found.status, bool(found.error)) == (None, True)


async def test_no_cookie_is_kept() -> None:
    endpoint = Endpoint(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(endpoint))
        sender = await stack.enter_async_context(WebhookHttpSender(LOOPBACK, LONG_SECONDS))
        for _ in range(2):
            assert await sender.send(url, HEADERS, BODY) == Attempt(200)
    assert not any("Cookie" in head for head in endpoint.heads)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, endpoint = Endpoint(), Endpoint()
    async with serving(proxy) as there, serving(endpoint) as url:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, there)
        assert await send(url) == Attempt(204)
    assert (proxy.connections, endpoint.connections) == (0, 1)


# -- TLS


def context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    found.load_cert_chain(certificate_file, key_file)
    return found


async def test_a_certificate_of_a_trusted_ca_is_accepted(tmp_path: Path) -> None:
    ca = TestCa(tmp_path / "ca")
    endpoint = Endpoint()
    async with serving(endpoint, context(*ca.issue("server", "127.0.0.1"))) as url:
        assert await send(url, ca_file=ca.ca_file) == Attempt(204)
    assert endpoint.bodies == [BODY]


@pytest.mark.parametrize("trusted", ["the system's", "another"])
async def test_a_certificate_of_another_ca_is_refused(tmp_path: Path, trusted: str) -> None:
    ca, other = TestCa(tmp_path / "ca"), TestCa(tmp_path / "other")
    endpoint = Endpoint()
    async with serving(endpoint, context(*ca.issue("server", "127.0.0.1"))) as url:
        found = await send(url, ca_file=None if trusted == "the system's" else other.ca_file)
    assert (found.status, "certificate" in (found.error or "")) == (None, True)
    assert endpoint.bodies == []


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    ca = TestCa(tmp_path / "ca")
    async with serving(Endpoint(), context(*ca.issue("server", "other.example"))) as url:
        found = await send(url, ca_file=ca.ca_file)
    assert (found.status, "certificate" in (found.error or "")) == (None, True)


async def test_an_endpoint_without_tls_gets_no_event_at_https() -> None:
    received: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        found = await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (found.status, "TLS" in (found.error or "")) == (None, True)
    assert received == [b"\x16"], "a handshake of TLS"
