"""One connection: aiohttp's request handler with two changes.

Guarantee: a request that is not valid HTTP gets an error in the envelope too, without an excerpt of what was received.
A handler learns at once that its client has disconnected, without being cancelled.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.http.envelope import SERVER, STANDARD_HEADERS, failure
from gateway.http.request_ids import HEADER, request_id
from pipeline.core.errors import RequestError, SluiceError
from pipeline.telemetry import HTTP_REQUESTS, Log, logger

READ_BYTES = 64 * 1024
"""Bytes read from a socket at once. With asyncio's default of 256 KiB, each of 500 connections with unread bodies took
620 KiB of memory, and every byte cost a quarter more CPU (each read is a fresh mapping). With 64 KiB it was 320 KiB at
the same speed."""


class EnvelopeProtocol(web.RequestHandler):
    """The protocol of one connection. `gone` is set when the connection is lost."""

    __slots__ = ("gone",)

    def __init__(self, manager: web.Server, **limits: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **limits)
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):  # asyncio's own transport; other event loops have no such attribute
            transport.max_size = READ_BYTES
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.gone.set()
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Called by aiohttp when it cannot parse a request, or when something fails outside the middleware."""
        if request.writer.output_size > 0:
            raise ConnectionError("a response has already begun; a second one cannot be sent")
        name = request_id(None)
        if status == 400:
            reason = (
                "a line of it is too long"
                if isinstance(exc, LineTooLong)
                else "its request line, a header or its framing is wrong"
            )
            error: SluiceError = RequestError("REQUEST_MALFORMED", reason=reason)
            logger().info(
                Log.REQUEST, request_id=name, route="unknown", status=400, code=error.code, reason=type(exc).__name__
            )
        else:
            error = SluiceError("INTERNAL")
            logger().error(Log.REQUEST_CRASHED, request_id=name, path=request.path, exc_info=exc)
        HTTP_REQUESTS.labels("unknown", "other", str(error.http_status)).inc()
        response = failure(error, request.path, name)
        response.headers.update({HEADER: name, "Server": SERVER, **STANDARD_HEADERS, "Vary": "Origin"})
        response.force_close()
        return response


def client_gone(request: web.Request) -> asyncio.Event:
    """Set when the client's connection is lost."""
    protocol = request.protocol
    return protocol.gone if isinstance(protocol, EnvelopeProtocol) else asyncio.Event()
