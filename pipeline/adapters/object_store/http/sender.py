"""Sends one HTTP request to a store: streams a segment, watches the clock, tells the observer.

Guarantee: a request ends within the times that are set, however the other side behaves. A body that its source broke
off leaves the source's own error, not the HTTP client's.

Why not aiohttp's timeouts alone: `sock_read` runs only after a body has been sent, so a store that stops reading, or
never answers `100 Continue`, would hold a request for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.http.observe import RequestObserver
from pipeline.adapters.object_store.http.payload import SegmentPayload
from pipeline.core.errors import StoreError


class RequestTimes(Protocol):
    """The times that a dialect's options set; each is explained there."""

    @property
    def connect_seconds(self) -> float: ...

    @property
    def stall_seconds(self) -> float: ...

    @property
    def answer_seconds(self) -> float: ...

    @property
    def keepalive_seconds(self) -> float: ...

    @property
    def continue_from_bytes(self) -> int: ...


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
        answer_seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer, whatever its status, with its body still to be read; hand it to `answered`.

        Raises StoreUnavailable, StoreError for a URL that is none, and whatever a SegmentPayload's source raised.
        """
        status: int | None = None
        started = time.perf_counter()
        try:
            if isinstance(body, SegmentPayload) and not body.size_bytes:
                async for _ in body.blocks():
                    pass  # nothing comes, but the source may say that its file is gone
                body = b""
            with driver_errors(what):
                if isinstance(body, SegmentPayload):
                    response = await self._stream(method, url, headers, body)
                else:
                    async with asyncio.timeout(
                        self._times.connect_seconds + (answer_seconds or self._times.answer_seconds)
                    ):
                        response = await self._session.request(
                            method, url, headers=headers, data=body, allow_redirects=False, timeout=self._timeout
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
        """Send a segment. The clock is set anew by every block that the connection takes."""
        times = self._times
        loop = asyncio.get_running_loop()
        expect = self._expects_continue and body.size_bytes >= times.continue_from_bytes
        running = True

        def progress() -> None:
            if running and not clock.expired():
                left = times.stall_seconds if body.passed_bytes < body.size_bytes else times.answer_seconds
                clock.reschedule(loop.time() + left)

        try:
            async with asyncio.timeout(times.connect_seconds + max(times.stall_seconds, times.answer_seconds)) as clock:
                return await self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=_SegmentPayload(body, progress),
                    expect100=expect,
                    allow_redirects=False,
                    timeout=self._timeout,
                )
        except TimeoutError as error:
            if expect and not body.passed_bytes:
                # Something on the way does not know `Expect`; RFC 9110 forbids to wait for ever, so the next one does
                # without.
                self._expects_continue = False
                raise TimeoutError("no 100 Continue came; requests go without it from now on") from error
            raise
        finally:
            running = False


@asynccontextmanager
async def answered(
    response: aiohttp.ClientResponse, what: str, body: bytes | SegmentPayload | None = None
) -> AsyncIterator[None]:
    """Read an answer in here: errors are translated, and the connection is not used again when it still owes bytes."""
    async with response:
        try:
            with driver_errors(what):
                yield
        finally:
            if isinstance(body, SegmentPayload) and not body.complete:
                response.close()


def new_session(times: RequestTimes) -> aiohttp.ClientSession:
    """Connections are not capped here: callers hold a limit of their own, and waiting for a connection would look
    like a dead store."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=times.keepalive_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=256 * 1024,  # of each answer, twice that may wait for whoever reads it: 50 slow clients, 25 MiB
        auto_decompress=False,
    )


class _SegmentPayload(aiohttp.payload.Payload):
    """A SegmentPayload as aiohttp takes it: closes its pass also when the request is cancelled or answered early."""

    _value: SegmentPayload

    def __init__(self, body: SegmentPayload, progress: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._size = body.size_bytes
        self._progress = progress

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a segment is bytes")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._consumed = (
            True  # aiohttp repeats a request on a fresh connection only while nothing of its body has been read
        )
        async with aclosing(self._value.blocks()) as blocks:
            async for block in blocks:
                await writer.write(block)
                self._progress()
