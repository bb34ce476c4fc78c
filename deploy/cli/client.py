"""A client of the gateway's API: one object for one server, for the command line, the bench and the end-to-end tests.

Guarantee: every call either returns the parsed response that the API promises or raises a ClientError. A request that
may succeed later is first repeated, with jitter and after the pause that Retry-After asks for; where a limit of the
server asks for it, as often as it takes. Requests to a server on loopback bypass any proxy that the environment names.
A redirect of a gateway to another cell of its installation is followed with the credential, up to three times and never
from https to http; no other redirect is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
from pydantic import BaseModel
from yarl import URL

from deploy.cli.errors import ClientError, NoResponseError
from deploy.cli.event_stream import STREAM_ERRORS, event_data
from deploy.cli.request_body import Body, RequestBody, disarm
from deploy.cli.responses import failure, in_other_cell, origin, parse, parse_success
from deploy.cli.retrying import FIRST_CONTACT, PATIENT, decide, is_wait
from deploy.cli.upload_trace import trace_headers
from pipeline.adapters.http_reasons import connection_reason
from pipeline.core import lifecycle
from pipeline.core.retry import GiveUp, RetryPolicy
from schemas.content import Content
from schemas.health import Ready
from schemas.imports import ImportObject, ImportView
from schemas.receipts import ReceiptView
from schemas.uploads import CreateUpload, SegmentView, UploadPage, UploadView

ENDED: Final = frozenset(map(str, lifecycle.ENDED))
"""The statuses of an upload that has ended."""

_CONNECT_SECONDS = 10.0
# A response can be silent for this long and still be on its way: a gateway may finish other bodies first, and an event
# stream may be waiting for its next heartbeat.
_SILENCE_SECONDS = 90.0
_POLL_SECONDS = 1.0
# A server that does not respond to `Expect: 100-continue` for this long ignores it.
_CONTINUE_SECONDS = 10.0
_MOST_REDIRECTS = 3

# Repeating the request cannot help: the URL is wrong, or TLS is.
_FINAL_ERRORS = (aiohttp.InvalidURL, aiohttp.ClientSSLError, aiohttp.ClientResponseError, UnicodeError)

OnRetry = Callable[[ClientError, int, float], None]
"""Called before a request is repeated, with the error, the number of the failed attempt, and the pause in seconds."""

MakeBody = Callable[[], Body]
"""Creates the request body; called once for each attempt."""

M = TypeVar("M", bound=BaseModel)


class SluiceClient:
    """A client of version 1 of the API. An async context manager with one connection pool for all calls. `key`: an API
    key or a token, sent with every request."""

    def __init__(
        self, server: str, *, key: str | None = None, connections: int = 8, policy: RetryPolicy = PATIENT
    ) -> None:
        self.server = server.rstrip("/")
        self._key = key
        self._policy = policy
        self._connections = connections
        self._was_reached = False
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            # Two more than the segment bodies sent at once, for event streams and status requests.
            connector=aiohttp.TCPConnector(limit=self._connections + 2),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS),
            trust_env=not _is_loopback(self.server),
            headers={"User-Agent": "sluice-cli"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def create(
        self, request: CreateUpload, idempotency_key: str, on_retry: OnRetry | None = None, *, waits: bool = True
    ) -> UploadView:
        """Create an upload. A repeated `idempotency_key` returns the upload that its first call created. Without
        `waits`, the error of a limit of the server is raised at once."""
        body = request.model_dump(exclude_none=True)
        headers = {"Idempotency-Key": idempotency_key, **trace_headers()}
        return await self._call(
            "POST",
            self._url("/v1/uploads"),
            UploadView,
            json_body=body,
            headers=headers,
            on_retry=on_retry,
            waits=waits,
        )

    async def upload(self, upload_id: str, on_retry: OnRetry | None = None) -> UploadView:
        """The current state of an upload. Raises ApiError UPLOAD_NOT_FOUND."""
        return await self._call("GET", self._url(f"/v1/uploads/{upload_id}"), UploadView, on_retry=on_retry)

    async def uploads(
        self, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> UploadPage:
        """One page of uploads, newest first."""
        query = {"status": status, "limit": limit, "cursor": cursor}
        return await self._call("GET", self._url("/v1/uploads", query), UploadPage)

    async def readiness(self) -> Ready:
        """Raises ApiError NOT_READY, GATEWAY_BUSY."""
        return await self._call("GET", self._url("/readyz"), Ready)

    async def cancel(self, upload_id: str) -> None:
        """Cancel an upload; the server removes what it has of it."""
        await self._request("DELETE", self._url(f"/v1/uploads/{upload_id}"))

    async def import_object(self, key: str, bucket: str | None = None, owner: str | None = None) -> ImportView:
        """Import an object that is already in the store. Idempotent."""
        body = ImportObject(bucket=bucket, key=key, owner=owner).model_dump(exclude_none=True)
        return await self._call("POST", self._url("/v1/contents/import"), ImportView, json_body=body)

    async def content(self, content_id: str, on_retry: OnRetry | None = None) -> Content:
        """A content's metadata row. Raises ApiError CONTENT_NOT_FOUND."""
        return await self._call("GET", self._url(f"/v1/contents/{content_id}"), Content, on_retry=on_retry)

    async def receipt(self, content_id: str) -> ReceiptView:
        """A new receipt of a content. Raises ApiError CONTENT_NOT_FOUND, RECEIPTS_NOT_OFFERED."""
        return await self._call("GET", self._url(f"/v1/contents/{content_id}/receipt"), ReceiptView)

    async def put_segment(
        self,
        view: UploadView,
        number: int,
        length: int,
        make_body: MakeBody,
        digest: Mapping[str, str],
        on_retry: OnRetry | None = None,
        *,
        may_be_refused: bool = False,
    ) -> SegmentView:
        """Send one segment of `length` bytes to the upload's `links.segment`. Idempotent. With `may_be_refused`, the
        body is sent once the server has asked for it, so that a refusal costs no body bytes.

        Raised at once, without another attempt: SEGMENT_WINDOW_FULL, and a ClientError that the body raises.
        """
        headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream", **digest}
        template = view.links.segment or f"{view.links.self}/segments/{{number}}"  # null: it has ended meanwhile
        url = template.replace("{number}", str(number))
        return await self._call(
            "PUT",
            url,
            SegmentView,
            headers=headers | trace_headers(),
            make_body=make_body,
            on_retry=on_retry,
            expects_continue=may_be_refused,
        )

    async def watch(self, upload_id: str, on_retry: OnRetry | None = None) -> AsyncGenerator[UploadView, None]:
        """Yields the upload at once, and again at each change until it has ended."""
        view = await self.upload(upload_id, on_retry)
        yield view
        if view.status in ENDED:
            return
        async with aclosing(self.follow(view, on_retry)) as views:
            async for now in views:
                if now != view:
                    view = now
                    yield view

    async def follow(self, upload: UploadView, on_retry: OnRetry | None = None) -> AsyncGenerator[UploadView, None]:
        """Yields the upload as it is now, and again at each change until it has ended.

        Reads server-sent events. Where the stream breaks or is not available, it polls once a second.
        """
        view: UploadView | None = None
        while view is None or view.status not in ENDED:
            try:
                async with aclosing(event_data(self._session, upload.links.events)) as stream:
                    async for data in stream:
                        now = parse(data, UploadView) if data.startswith("{") else None
                        if now is not None and now != view:
                            view = now
                            yield view
            except STREAM_ERRORS:
                await asyncio.sleep(_POLL_SECONDS)
            if view is None or view.status not in ENDED:
                now = await self.upload(upload.id, on_retry)
                if now == view:
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    view = now
                    yield view

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("SluiceClient must be entered with `async with` first")
        return self._http

    def _url(self, path: str, query: Mapping[str, str | int | None] | None = None) -> str:
        chosen = urlencode({key: value for key, value in (query or {}).items() if value is not None})
        return f"{self.server}{path}" + (f"?{chosen}" if chosen else "")

    async def _call(self, method: str, url: str, model: type[M], **options: Any) -> M:
        return parse_success(await self._request(method, url, **options), model, origin(url))

    async def _request(
        self,
        method: str,
        url: str,
        *,
        json_body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        make_body: MakeBody | None = None,
        on_retry: OnRetry | None = None,
        expects_continue: bool = False,
        waits: bool = True,
    ) -> bytes:
        """The body of the first response with a status below 300. `expects_continue`: with `Expect: 100-continue`, but
        no longer once a server did not respond to it (RFC 9110, section 10.1.1).

        Raises the first ClientError that is not retryable, or the last one when the policy's attempts are used up.
        """
        attempt = 1
        target: str | URL = url
        redirects = 0
        while True:
            body = RequestBody(make_body()) if make_body is not None else None
            try:
                async with (
                    asyncio.timeout(_CONTINUE_SECONDS if expects_continue else None) as until_asked,
                    self._session.request(
                        method,
                        target,
                        json=json_body,
                        data=body.from_now(until_asked) if body is not None else None,
                        headers=headers,
                        expect100=expects_continue,
                        allow_redirects=False,
                    ) as response,
                ):
                    disarm(until_asked)
                    content = await response.read()
                    self._was_reached = True
                    if response.status < 300:
                        return content
                    failed: ClientError = failure(response, content)
                    other = in_other_cell(response, failed)
                    if other is not None and redirects < _MOST_REDIRECTS:
                        target, redirects = other, redirects + 1
                        continue
            except (TimeoutError, aiohttp.ClientError, UnicodeError) as error:
                if body is not None and body.error is not None:
                    raise body.error from None
                expects_continue = False
                retryable = not isinstance(error, _FINAL_ERRORS)
                failed = NoResponseError(origin(target), connection_reason(error), retryable=retryable)
            target, redirects = url, 0  # another cell may be chosen now
            policy = self._policy if self._was_reached else FIRST_CONTACT
            decision = decide(failed, attempt, policy, random.random())
            if isinstance(decision, GiveUp) or (is_wait(failed) and not waits):
                raise failed
            if on_retry is not None:
                on_retry(failed, attempt, decision.seconds)
            attempt += not is_wait(failed)
            await asyncio.sleep(decision.seconds)


def _is_loopback(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
