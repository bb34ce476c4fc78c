"""Sends one HTTP request to a store: streams a segment, enforces the timeouts, calls the observer.

Guarantee: a request ends within the configured times, however the server behaves, and nothing remains of it. When the
source breaks a body off, the caller gets the source's own error, not the HTTP client's.

Why aiohttp's timeouts are not enough: `sock_read` starts only after the body has been sent, so a store that stops
reading, or never sends `100 Continue`, would hold a request forever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from yarl import URL

from pipeline.adapters.object_store.http.bodies import READ_BYTES
from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.http.observe import RequestObserver
from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.adapters.tls import verifying
from pipeline.core.errors import StoreError


class RequestTimes(Protocol):
    """The times that the options of each store set and explain, and the CAs that are trusted besides the system's."""

    @property
    def connect_seconds(self) -> float: ...

    @property
    def stall_seconds(self) -> float: ...

    @property
    def response_seconds(self) -> float: ...

    @property
    def keepalive_seconds(self) -> float: ...

    @property
    def continue_from_bytes(self) -> int: ...

    @property
    def ca_file(self) -> Path | None: ...


class RequestSender:
    """Requests of one store over one session."""

    def __init__(self, session: aiohttp.ClientSession, times: RequestTimes, observer: RequestObserver) -> None:
        self._session = session
        self._times = times
        self._observer = observer
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=times.connect_seconds, sock_read=times.stall_seconds
        )
        self._expects_continue = True

    async def send(
        self,
        method: str,
        url: URL,
        *,
        what: str,
        headers: Mapping[str, str],
        body: bytes | SegmentPayload | None = None,
        response_seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """The response, whatever its status; pass it to `reading` to read its body.

        Raises StoreUnavailable, StoreError STORE_REJECTED for an invalid URL, and what a SegmentPayload's source
        raises.
        """
        status: int | None = None
        started = time.perf_counter()
        try:
            if isinstance(body, SegmentPayload) and not body.size_bytes:
                async for _ in body.blocks():
                    pass  # yields nothing, but the source may report that its file is gone
                body = b""
            with driver_errors(what):
                if isinstance(body, SegmentPayload):
                    response = await self._stream(method, url, headers, body)
                else:
                    async with asyncio.timeout(
                        self._times.connect_seconds + (response_seconds or self._times.response_seconds)
                    ):
                        data = BytesIO(body) if body else body  # a long one is sent in blocks
                        response = await self._session.request(
                            method, url, headers=headers, data=data, allow_redirects=False, timeout=self._timeout
                        )
            status = response.status
            return response
        except StoreError:
            if isinstance(body, SegmentPayload) and body.failure is not None:
                raise body.failure from None
            raise
        finally:
            self._observer(method, status, time.perf_counter() - started)

    async def _stream(
        self, method: str, url: URL, headers: Mapping[str, str], body: SegmentPayload
    ) -> aiohttp.ClientResponse:
        """Send a segment. Every block that the connection takes restarts the timeout."""
        times = self._times
        loop = asyncio.get_running_loop()
        expect = self._expects_continue and body.size_bytes >= times.continue_from_bytes
        running = True
        response: aiohttp.ClientResponse | None = None

        def progress() -> None:
            if running and not clock.expired():
                left = times.stall_seconds if body.passed_bytes < body.size_bytes else times.response_seconds
                clock.reschedule(loop.time() + left)

        data = _StreamedSegment(body, progress)
        try:
            async with asyncio.timeout(
                times.connect_seconds + max(times.stall_seconds, times.response_seconds)
            ) as clock:
                response = await self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    expect100=expect,
                    allow_redirects=False,
                    timeout=self._timeout,
                )
            if response.status == 417:  # RFC 9110 section 10.1.1; the caller's retry does without
                self._expects_continue = False
            return response
        except TimeoutError as error:
            if expect and not body.passed_bytes:
                # Something on the way does not support `Expect`. RFC 9110 section 10.1.1 does not let a client wait
                # indefinitely, so later requests do without.
                self._expects_continue = False
                raise TimeoutError("no 100 Continue came; later requests do not wait for it") from error
            raise
        finally:
            running = False
            if response is None:
                data.abort()


@asynccontextmanager
async def reading(
    response: aiohttp.ClientResponse, what: str, body: bytes | SegmentPayload | None = None
) -> AsyncIterator[None]:
    """Read a response inside this block. Errors are translated; the connection is closed, not reused, when the request
    body was not sent whole."""
    async with response:
        try:
            with driver_errors(what):
                yield
        finally:
            if isinstance(body, SegmentPayload) and not body.complete:
                response.close()


def new_session(times: RequestTimes) -> aiohttp.ClientSession:
    """A session without a limit on connections: callers have a limit of their own, and waiting for a connection would
    look like a dead store."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=times.keepalive_seconds, ssl=verifying(times.ca_file)
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BYTES,
        auto_decompress=False,
    )


class _StreamedSegment(aiohttp.payload.Payload):
    """A SegmentPayload as aiohttp takes it. Its pass is closed also when the request is cancelled or the response comes
    early. A body that is not sent whole ends its connection at once (`abort`)."""

    _value: SegmentPayload
    _transport: asyncio.Transport | None = None

    def __init__(self, body: SegmentPayload, progress: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._size = body.size_bytes
        self._progress = progress

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a segment is bytes")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # aiohttp repeats a request on a new connection only while its body is not consumed.
        self._consumed = True
        if isinstance(writer, StreamWriter):
            self._transport = writer.transport
        try:
            async with aclosing(self._value.blocks()) as blocks:
                async for block in blocks:
                    await writer.write(memoryview(block))
                    self._progress()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the connection without sending what it holds. aiohttp closes it after that was sent, and a store that
        reads nothing would keep the socket and the block for as long as it hangs."""
        socket = self._transport.get_extra_info("socket") if self._transport is not None else None
        if self._transport is not None and socket is not None and socket.fileno() != -1:  # not closed yet
            self._transport.abort()
