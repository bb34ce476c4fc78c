"""An HTTP proxy on loopback in front of a real store that changes some requests or responses: a store that lacks one
capability, while everything else of it is real.

    async with AlteringProxy(server_url) as proxy:
        proxy.before = refuse(403, "GET", "X-Amz-Signature")
        proxy.after = without_header("Content-Disposition")

The Host header passes unchanged, so that signatures are valid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Expect")


@dataclass
class Passing:
    """A request on its way, which may be changed, and then its response."""

    method: str
    path_qs: str
    headers: CIMultiDict[str]
    body: bytes
    status: int = 0
    response_headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    response_body: bytes = b""
    dropped: bool = False

    @property
    def presigned(self) -> bool:
        """Whether a client sends it that has only a URL."""
        return "X-Amz-Signature" in self.path_qs or "temp_url_sig" in self.path_qs


def unchanged(passing: Passing) -> None:
    """Changes nothing."""


class AlteringProxy:
    """`before` may change a request, respond to it by setting `status`, or end the connection without a response by
    setting `dropped`; `after` may change its response."""

    def __init__(self, upstream: str) -> None:
        self.before: Callable[[Passing], None] = unchanged
        self.after: Callable[[Passing], None] = unchanged
        self.url = ""
        self._upstream = upstream

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{name:.*}", self._serve)
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = CIMultiDict(request.headers)
        for name in _HOP_BY_HOP:
            headers.popall(name, None)
        passing = Passing(request.method, request.raw_path, headers, await request.read())
        self.before(passing)
        if passing.dropped and request.transport is not None:
            request.transport.abort()
            return web.Response()
        if not passing.status:
            await self._pass_on(passing)
            self.after(passing)
        if passing.method == "HEAD":  # a Response would write the Content-Length of its own empty body
            head = web.StreamResponse(status=passing.status, headers=passing.response_headers)
            await head.prepare(request)
            return head
        response = web.Response(status=passing.status, body=passing.response_body)
        response.headers.update(passing.response_headers)
        return response

    async def _pass_on(self, passing: Passing) -> None:
        async with self._session.request(
            passing.method,
            URL(self._upstream + passing.path_qs, encoded=True),
            headers=passing.headers,
            data=BytesIO(passing.body),  # aiohttp warns of long bytes
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        ) as response:
            passing.status = response.status
            passing.response_headers = CIMultiDict(response.headers)
            passing.response_body = await response.read()
        for name in _HOP_BY_HOP if passing.method != "HEAD" else _HOP_BY_HOP[:3]:
            passing.response_headers.popall(name, None)
