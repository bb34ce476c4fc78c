"""One request to Swift: with the shared token, under our clocks, its failures translated.

Guarantee: a request ends within the times of `SwiftOptions`, however the other side behaves. A 401 renews the token
once and repeats the request; everything else that may be worth repeating is the caller's to repeat. A body that its
source broke off leaves the source's own error, not the HTTP client's.

Why not aiohttp's timeouts alone: `sock_read` runs only after a body has been sent, so a store that stops reading, or
never answers `100 Continue`, would hold a request for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from pipeline.adapters.object_store.body import SegmentBody
from pipeline.adapters.object_store.observe import RequestObserver
from pipeline.adapters.object_store.swift.auth import Token, TokenSource
from pipeline.adapters.object_store.swift.errors import driver_errors, refusal
from pipeline.adapters.object_store.swift.layout import account_url
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError


class SwiftHttp:
    """Requests of one store over one session."""

    def __init__(
        self, session: aiohttp.ClientSession, tokens: TokenSource, options: SwiftOptions, observer: RequestObserver
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._options = options
        self._observer = observer
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=options.connect_seconds, sock_read=options.stall_seconds
        )
        self._expects_continue = True

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        accept: Collection[int],
        query: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | SegmentBody | None = None,
        answer_seconds: float | None = None,
        key: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and hand its answer over, when its status is one of `accept`; other answers are raised as
        `refusal` says.

        `key` is what a missing object is called in the error. Raises StoreError, StoreUnavailable, and whatever a
        SegmentBody's source raised.
        """
        what = f"{method} {path}"
        token = await self._tokens.token()
        response = await self._send(method, path, token, query, headers, body, answer_seconds)
        if response.status == 401:
            response.close()
            token = await self._tokens.renew(token)
            response = await self._send(method, path, token, query, headers, body, answer_seconds)
        async with response:
            try:
                if response.status not in accept:
                    raise await refusal(response, what, key or path)
                with driver_errors(what):
                    yield response
            finally:
                if isinstance(body, SegmentBody) and not body.complete:
                    response.close()  # the connection still owes bytes

    async def storage_url(self) -> str:
        """The account's URL, as the login gave it. Raises as `request`."""
        return (await self._tokens.token()).storage_url

    async def aclose(self) -> None:
        await self._tokens.aclose()

    async def _send(
        self,
        method: str,
        path: str,
        token: Token,
        query: dict[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | SegmentBody | None,
        answer_seconds: float | None,
    ) -> aiohttp.ClientResponse:
        url = account_url(token.storage_url, path, query)
        sent = {"X-Auth-Token": token.value, **(headers or {})}
        status: int | None = None
        started = time.perf_counter()
        try:
            with driver_errors(f"{method} {path}"):
                if isinstance(body, SegmentBody):
                    response = await self._stream(method, url, sent, body)
                else:
                    limit = self._options.connect_seconds + (answer_seconds or self._options.answer_seconds)
                    async with asyncio.timeout(limit):
                        response = await self._session.request(
                            method, url, headers=sent, data=body, allow_redirects=False, timeout=self._timeout
                        )
            status = response.status
            return response
        except StoreError:
            if isinstance(body, SegmentBody) and body.failure is not None:
                raise body.failure from None
            raise
        finally:
            self._observer(method, status, time.perf_counter() - started)

    async def _stream(
        self, method: str, url: URL, headers: Mapping[str, str], body: SegmentBody
    ) -> aiohttp.ClientResponse:
        """Send a segment. The clock is set anew by every block that the connection takes."""
        options = self._options
        loop = asyncio.get_running_loop()
        expect = self._expects_continue and body.size_bytes >= options.continue_from_bytes
        running = True

        def progress() -> None:
            if running and not clock.expired():
                left = options.stall_seconds if body.passed_bytes < body.size_bytes else options.answer_seconds
                clock.reschedule(loop.time() + left)

        try:
            async with asyncio.timeout(
                options.connect_seconds + max(options.stall_seconds, options.answer_seconds)
            ) as clock:
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


class _SegmentPayload(aiohttp.payload.Payload):
    """A SegmentBody as aiohttp takes it: closes its pass also when the request is cancelled or answered early."""

    _value: SegmentBody

    def __init__(self, body: SegmentBody, progress: Callable[[], None]) -> None:
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
