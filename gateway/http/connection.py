"""One connection: aiohttp's request handler, with two things changed.

Guarantee: a request that is not HTTP at all is answered in the envelope too (and not with an excerpt of what came), and
a handler can learn at once that its client has gone, without being cancelled in the middle of what it does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.http.envelope import SERVER, failure
from gateway.http.request_ids import HEADER, request_id
from pipeline.core.errors import RequestError, SluiceError
from pipeline.telemetry import HTTP_REQUESTS, Log, logger

READ_BYTES = 64 * 1024
"""What is read from a socket at once. asyncio's own 256 KiB made 500 connections whose bodies wait for room cost 620
KiB each, and a quarter more CPU per byte (each read is a fresh mapping); with 64 KiB it was 320 KiB, just as fast."""


class EnvelopeProtocol(web.RequestHandler):
    """The protocol of one connection. `gone` is set when the connection is lost."""

    __slots__ = ("gone",)

    def __init__(self, manager: web.Server, **limits: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **limits)
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):  # asyncio's own; other loops go their own way
            transport.max_size = READ_BYTES
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.gone.set()
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What aiohttp calls when it cannot parse a request, or when something went wrong outside of our middleware."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already, and there can be no second one")
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
        response.headers.update({HEADER: name, "Server": SERVER})
        response.force_close()
        return response


def gone(request: web.Request) -> asyncio.Event:
    """Set when the client's connection is lost."""
    protocol = request.protocol
    return protocol.gone if isinstance(protocol, EnvelopeProtocol) else asyncio.Event()
