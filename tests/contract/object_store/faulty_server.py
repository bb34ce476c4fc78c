"""A store on loopback that misbehaves on request: a real HTTP server that implements as much of Swift and S3 as their
adapters use, so that the client's own failures are real ones."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

# Short, so that a test of a timeout is fast. `DEADLINE_SECONDS` is much longer, because a loaded machine needs it.
STALL_SECONDS = 1.0
DEADLINE_SECONDS = 60.0
# Of a client that is to succeed although the store or its source is slow, with pauses of `PAUSE_SECONDS`.
LONG_STALL_SECONDS = 5.0
PAUSE_SECONDS = 0.25
LARGE_BYTES = 8 * 1024 * 1024  # more than socket buffers hold, so that the sender notices a peer that does not read


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultyStore:
    """Accepts every login and has every container and bucket. Requests for objects are handled by `fault`, logins by
    `auth_fault`, `/info` by `info` and all requests but logins by `everything`, if they are set; without `info` that is
    404. The account's URL is `storage_path` of this server."""

    def __init__(self) -> None:
        self.fault: Handler | None = None
        self.auth_fault: Handler | None = None
        self.info: Handler | None = None
        self.everything: Handler | None = None
        self.storage_path = "/v1/AUTH_test"
        self.sends_continue = True
        self.logins = 0
        self.info_requests = 0
        self.puts = 0
        self.url = ""
        self._released = asyncio.Event()

    @property
    def auth_url(self) -> str:
        return f"{self.url}/auth/v1.0"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/auth/v1.0", self._login)
        app.router.add_get("/{prefix:(.*/)?}info", self._info)
        app.router.add_route("*", "/v1/AUTH_test{slash:/?}{name:.*}", self._serve, expect_handler=self._expect)
        app.router.add_route("*", "/{name:.*}", self._serve, expect_handler=self._expect)  # S3: bucket and key
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """Neither read nor respond."""
        await self._released.wait()
        return web.Response(status=500)

    async def read_and_hang(self, request: web.Request) -> web.StreamResponse:
        """Read the whole body and do not respond."""
        await request.read()
        return await self.hang(request)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        self.logins += 1
        if self.auth_fault is not None:
            return await self.auth_fault(request)
        headers = {"X-Auth-Token": f"token-{self.logins}", "X-Storage-Url": f"{self.url}{self.storage_path}"}
        return web.Response(headers=headers)

    async def _info(self, request: web.Request) -> web.StreamResponse:
        self.info_requests += 1
        if self.everything is not None:
            return await self.everything(request)
        return web.Response(status=404) if self.info is None else await self.info(request)

    async def _expect(self, request: web.Request) -> None:
        if request.headers.get("Expect", "").lower() == "100-continue" and self.sends_continue:
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.everything is not None:
            return await self.everything(request)
        is_object = request.match_info["name"].count("/") > 0
        if not is_object:
            return web.Response(status=200 if _is_s3(request) else 204)
        if "uploads" in request.query:
            begun = b"<InitiateMultipartUploadResult><UploadId>session</UploadId></InitiateMultipartUploadResult>"
            return web.Response(body=begun, content_type="application/xml")
        self.puts += request.method == "PUT"
        if self.fault is not None:
            return await self.fault(request)
        return await store(request)


def _is_s3(request: web.Request) -> bool:
    return not request.path.startswith("/v1/")


async def store(request: web.Request) -> web.StreamResponse:
    """What a healthy store does: S3 quotes the digest, Swift does not."""
    digest = hashlib.md5(await request.read(), usedforsecurity=False).hexdigest()
    if _is_s3(request):
        return web.Response(headers={"ETag": f'"{digest}"'})
    return web.Response(status=201, headers={"Etag": digest})


def respond(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Handler:
    """Read the body, then send this response."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, headers=headers, body=body)

    return handler


def refuse_unread(status: int) -> Handler:
    """Respond before the body has been read."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    return handler


def raw(response: bytes) -> Handler:
    """Send these bytes, which need not be HTTP, and close the connection."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        request.transport.write(response)
        request.transport.close()
        return web.Response()

    return handler


def reset_after(body_bytes: int) -> Handler:
    """Read `body_bytes` of the body, then reset the connection (RST, by a linger time of 0)."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if body_bytes:
            await request.content.readexactly(body_bytes)
        assert request.transport is not None
        raw: socket.socket = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    return handler


def drip(blocks: list[bytes], between: Callable[[], Awaitable[None]], length: int | None = None) -> Handler:
    """Respond to a GET block by block; `length` is a Content-Length that differs from the true one."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(length or sum(map(len, blocks)))})
        await response.prepare(request)
        for block in blocks:
            await response.write(block)
            await between()
        if length is not None:
            assert request.transport is not None
            request.transport.close()
        return response

    return handler
