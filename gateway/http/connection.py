"""One connection: aiohttp's request handler with limits of its own.

Guarantee: a request that is not valid HTTP gets an error in the envelope too, without an excerpt of what was received.
A handler is notified at once that its client has disconnected, without being cancelled. A connection is closed
unless:
- the head of a request is complete after `head_seconds`, and has at most `HEAD_BYTES`;
- the framing of a chunked body (extensions, trailers, sizes with leading zeros) has at most `FRAMING_BYTES` more than
  the body; aiohttp's parser in C bounds the trailers only. Invalid framing ends the body at once;
- the client reads some of the bytes that are ready to be sent within `write_seconds`;
- a chunked body ends without trailers. aiohttp's parser in C (3.14) keeps the last trailer and adds it to the headers
  of the next request on the connection, which behind a proxy may be that of another client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import _ErrInfo
from multidict import CIMultiDict

from gateway.http.connections import Connections
from gateway.http.envelope import SERVER, STANDARD_HEADERS, failure
from gateway.http.paths import without_tokens
from gateway.http.reading import LARGE_READ_BYTES, ReadInTurn, SharedReads
from gateway.http.request_ids import HEADER, request_id
from gateway.http.trailers import TrailerWatch
from gateway.limits import STRANGERS_LOG
from gateway.options import GatewayOptions
from pipeline.core.errors import RequestError, SluiceError
from pipeline.logs import Log, logger
from pipeline.telemetry import CONNECTIONS_CLOSED, HTTP_REQUESTS

HEAD_BYTES: Final = 64 * 1024
"""Most bytes of a request's head. aiohttp bounds each header and their number, which together allow a mebibyte."""

FRAMING_BYTES: Final = 64 * 1024 + LARGE_READ_BYTES
"""What the framing of a body may have beyond the bytes of the body: 64 KiB, and what one read has received that is not
parsed yet. Chunks of five bytes and more have less framing than body."""


class FramingError(web.RequestPayloadError):
    """The framing of a body is not valid, or too long. The text says which, for its client."""


class GatewayConnection(ReadInTurn, asyncio.BufferedProtocol):
    """The protocol of one connection. `gone` is set when the connection is lost."""

    __slots__ = (
        *("gone", "_connections", "_options", "_socket", "_served", "_timer", "_write_timer", "_is_over"),
        *("_head_bytes", "_framed_bytes", "_broken", "_received_at", "_blocked_at", "_trailers"),
    )

    def __init__(
        self,
        manager: web.Server,
        connections: Connections,
        reads: SharedReads,
        options: GatewayOptions,
        **limits: Any,
    ) -> None:
        super().__init__(manager, reads, **limits)
        self.gone = asyncio.Event()
        self._connections = connections
        self._options = options
        self._socket: asyncio.Transport | None = None
        self._served = 0
        """Requests that have ended, of `_request_count` that have begun."""
        self._timer: asyncio.TimerHandle | None = None
        """Runs while the head of a request is expected or incomplete."""
        self._write_timer: asyncio.TimerHandle | None = None
        self._is_over = False
        """No request is handled any more; the transport closes once everything is sent."""
        self._head_bytes = 0
        self._framed_bytes = 0
        """Bytes received of its body, less those parsed: what frames it."""
        self._broken = False
        """Its framing is not valid, so that nothing after it can be understood."""
        self._received_at = self._blocked_at = 0.0
        self._trailers = TrailerWatch()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        super().connection_made(transport)
        if self._task_handler is not None:
            self._task_handler.add_done_callback(self._handled)
        self._connections.set_idle(self)
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.gone.set()
        self._connections.remove(self)
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._socket = None
        super().connection_lost(exc)

    def cut(self) -> None:
        """Close the connection now; what was not sent is lost."""
        if self._socket is not None:
            self._socket.abort()

    def stalled_seconds(self) -> float:
        """For how long the client of the request in progress has neither sent nor read what it must."""
        now = self._loop.time()
        if self._paused:
            return now - self._blocked_at
        sending = self._is_in_body and not self._reading_paused and not self._is_held
        return now - self._received_at if self._is_busy and sending else 0.0

    @property
    def _is_busy(self) -> bool:
        return self._served < self._request_count

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return  # discarded, while the client receives its response
        self._received_at = self._loop.time()
        parsed_bytes = self._body.total_bytes if self._body is not None else 0
        in_head = not (self._is_busy or self._is_in_body)
        self._trailers.received(data, in_head=in_head)
        super().data_received(data)
        if in_head and self._messages:
            message, body = self._messages[0]
            if not isinstance(message, _ErrInfo):
                self._trailers.begun(message, body)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo) and self._is_in_body:
            self._messages.pop()
            self._request_count -= 1
            self._break_body("the framing of the body is broken")
        elif self._is_in_body:
            self._count_framing(len(data), parsed_bytes)
        elif not self._is_busy:
            self._count_head(len(data))

    def _count_framing(self, received_bytes: int, parsed_bytes: int) -> None:
        body = cast(StreamReader, self._body)
        self._framed_bytes += received_bytes - (body.total_bytes - parsed_bytes)
        if self._framed_bytes > FRAMING_BYTES + body.total_bytes:
            self._break_body("its chunks have more extensions and trailers than the body has bytes")

    def _break_body(self, reason: str) -> None:
        """End the body of the request in progress with an error."""
        self._broken = True
        cast(StreamReader, self._body).set_exception(FramingError(reason))

    def _count_head(self, received_bytes: int) -> None:
        self._head_bytes += received_bytes
        if self._head_bytes > HEAD_BYTES:
            CONNECTIONS_CLOSED.labels("head").inc()
            self.cut()
        elif received_bytes:
            self._expect_head()

    def _expect_head(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._options.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        CONNECTIONS_CLOSED.labels("head").inc()
        self.cut()

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        """aiohttp calls this for each request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.set_busy(self)
        self._head_bytes = self._framed_bytes = 0
        self.begin_reading(request.content if isinstance(request.content, StreamReader) else None)
        try:
            response, reset = await super()._handle_request(request, start_time, request_handler)
            if self.may_have_trailers(request):
                response.force_close()
            return response, reset
        finally:
            self.end_reading()
            self._served += 1
            if self._broken and self._body is not None:
                # What aiohttp does next is to read the rest and discard it, for a while. It would log the exception.
                self._body.set_exception(cast(BaseException, None))
            if not self._is_busy:
                self._connections.set_idle(self)

    def may_have_trailers(self, request: web.BaseRequest) -> bool:
        """Whether the request in progress has a chunked body that has not ended, or not certainly without trailers."""
        if "Transfer-Encoding" not in request.headers:
            return False
        return self._is_in_body or bool(self._messages) or not self._trailers.ended_plainly

    def trailers(self, request: web.BaseRequest) -> CIMultiDict[str]:
        """The trailer fields of the request in progress, whose body was read to its end and whose head has the field
        Trailer. Raises RequestError REQUEST_MALFORMED."""
        return self._trailers.fields(request.content)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._blocked_at = self._loop.time()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._is_over:
            self._expect_reading()

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._is_over = True
        if self._socket is not None:
            self._expect_reading()

    def _expect_reading(self) -> None:
        if self._write_timer is None:
            self._write_timer = self._loop.call_later(self._options.write_seconds, self._does_not_read)

    def _does_not_read(self) -> None:
        CONNECTIONS_CLOSED.labels("stalled").inc()
        self.cut()

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
            if (left_out := STRANGERS_LOG.spend()) is not None:
                logger().info(
                    Log.REQUEST,
                    request_id=name,
                    route="unknown",
                    status=400,
                    code=error.code,
                    reason=type(exc).__name__,
                    left_out=left_out,
                )
        else:
            error = SluiceError("INTERNAL")
            logger().error(Log.REQUEST_CRASHED, request_id=name, path=without_tokens(request.path), exc_info=exc)
        HTTP_REQUESTS.labels("unknown", "other", str(error.http_status)).inc()
        response = failure(error, without_tokens(request.path), name)
        response.headers.update({HEADER: name, "Server": SERVER, **STANDARD_HEADERS, "Vary": "Origin"})
        response.force_close()
        return response


def client_gone(request: web.Request) -> asyncio.Event:
    """Set when the client's connection is lost."""
    protocol = request.protocol
    return protocol.gone if isinstance(protocol, GatewayConnection) else asyncio.Event()
