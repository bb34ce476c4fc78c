"""The trailer fields of chunked bodies (RFC 9110 section 6.5), which aiohttp parses and discards.

Guarantee: fields are returned only if two parsers agree where their request begins and ends: that of aiohttp, which
gives handlers the body, and that of httptools, which reads the same bytes beside it. The second one runs only for a
chunked request whose head has the field Trailer, and keeps nothing but the trailer fields, at most `TRAILER_BYTES`. The
bytes of any other request are looked at once, the last few of each packet.
"""

from __future__ import annotations

from typing import Final

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from multidict import CIMultiDict

from pipeline.core.errors import RequestError

TRAILER_BYTES: Final = 8 * 1024
"""Most bytes of the names and values of a body's trailer fields."""

_PLAIN_END: Final = b"\r\n0\r\n\r\n"
"""The end of a chunked body without trailers. A body with trailers cannot end so: a field has a colon."""


class TrailerWatch:
    """Sees the bytes that one connection receives, in order."""

    __slots__ = ("_body", "_head", "_last", "_reader")

    def __init__(self) -> None:
        self._head = b""
        """What was received of the head that is expected."""
        self._last = b""
        self._reader: _Reader | None = None
        self._body: StreamReader | None = None
        """That of the request which `_reader` reads."""

    def received(self, data: bytes, *, in_head: bool) -> None:
        """Call this before aiohttp parses `data`. `in_head`: no request is in progress."""
        if not data:
            return  # aiohttp continues with what it has received before
        size = len(_PLAIN_END)
        self._last = data[-size:] if len(data) >= size else (self._last + data)[-size:]
        if in_head:
            self._head += data
        elif self._reader is not None:
            self._reader.feed(data)

    def begun(self, message: RawRequestMessage, body: StreamReader) -> None:
        """Call this when the head that was expected is complete."""
        head, self._head = self._head, b""
        self._reader = self._body = None
        if message.chunked and "Trailer" in message.headers:
            self._reader, self._body = _Reader(message.method, message.path), body
            self._reader.feed(head)

    def fields(self, body: StreamReader) -> CIMultiDict[str]:
        """The trailer fields of a body that aiohttp has parsed to its end. Raises RequestError REQUEST_MALFORMED."""
        if self._reader is None or body is not self._body:
            raise _malformed("one with trailers is sent after the response to the request before it")
        return self._reader.result(body.total_bytes)

    @property
    def ended_plainly(self) -> bool:
        """Whether the bytes received end as a chunked body without trailers does."""
        return self._last == _PLAIN_END


class _Reader:
    """Reads one request, of which aiohttp says that it has this method and target. httptools calls the methods whose
    names begin with `on_`."""

    def __init__(self, method: str, target: str) -> None:
        self._expected = (method.encode(), target.encode(errors="surrogateescape"))
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._target = b""
        self._in_head = True
        self._ended = False
        self._problem = ""
        self._body_bytes = 0
        self._trailer_bytes = 0
        self._fields: CIMultiDict[str] = CIMultiDict()

    def feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._problem = self._problem or "its trailers or its framing are wrong"
        if self._ended or self._problem:
            self._parser = None  # what follows is another request

    def result(self, body_bytes: int) -> CIMultiDict[str]:
        """The trailer fields. `body_bytes`: of the body that aiohttp has found."""
        if self._ended and body_bytes == self._body_bytes:
            return self._fields
        raise _malformed(self._problem or "it is not clear where its body ends")

    def on_url(self, part: bytes) -> None:
        self._target += b"" if self._ended else part

    def on_headers_complete(self) -> None:
        if self._ended or self._parser is None:
            return
        self._in_head = False
        if (self._parser.get_method(), self._target) != self._expected:
            self._fail("one with trailers is sent after the response to the request before it")

    def on_body(self, part: bytes) -> None:
        if not self._ended:
            self._body_bytes += len(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head or self._ended:
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > TRAILER_BYTES:
            self._fail(f"its trailers have more than {TRAILER_BYTES} bytes")
        self._fields.add(name.decode(), value.strip(b" \t").decode(errors="surrogateescape"))

    def on_message_complete(self) -> None:
        self._ended = True

    def _fail(self, problem: str) -> None:
        self._problem = problem
        raise ValueError(problem)  # ends the parser


def _malformed(reason: str) -> RequestError:
    return RequestError("REQUEST_MALFORMED", reason=reason)
