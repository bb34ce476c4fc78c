"""The route that tells a client of every change of its upload: server-sent events (WHATWG HTML, section 9.2).

Guarantee: the first event is the whole upload, each later one the whole upload after a change, so a client needs no
memory, and one that was cut off just comes again. The feed only says "look": what is told is always read from the
board, and read again at each keep-alive, so a lost notice costs seconds, not the truth. A client that goes away, or
does not take its events, frees everything at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from gateway.api.shared import upload_id
from gateway.api.uploads import view
from gateway.http.connection import gone
from gateway.options import OPTIONS, RUNNING, SERVICES
from gateway.routing import Answer, Route
from pipeline.core.errors import SluiceError
from pipeline.core.lifecycle import ENDED
from pipeline.telemetry import EVENT_STREAMS, Log, logger
from schemas.uploads import UploadView

RECONNECT_MILLISECONDS = 1000
"""How long a client waits before it comes again: what `retry:` says."""

_END = "-end"
"""How the id of the last event ends. A client that comes back with it (EventSource does so by itself) is told 204,
which ends it."""

_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


async def events(request: web.Request) -> web.StreamResponse:
    """Everything that can be refused is refused before the stream begins, in the envelope."""
    services = request.app[SERVICES]
    name = upload_id(request)
    detail = await services.lookup.detail(name)
    if detail.upload.status in ENDED and request.headers.get("Last-Event-ID", "").endswith(_END):
        return web.Response(status=204)
    if request.method == "HEAD":
        return web.Response(headers=_HEADERS)
    stream = web.StreamResponse(headers=_HEADERS)
    stream.force_close()
    # Listen first, read after: what changes in between is noticed.
    async with services.feed.watch(name) as changes:
        with EVENT_STREAMS.track_inprogress(), suppress(ConnectionError, TimeoutError):
            await stream.prepare(request)
            await _EventStream(request, stream, name).run(changes)
    return stream


class _EventStream:
    """One open stream."""

    def __init__(self, request: web.Request, stream: web.StreamResponse, name: str) -> None:
        self._request = request
        self._stream = stream
        self._name = name
        self._options = request.app[OPTIONS]
        self._told: UploadView | None = None

    async def run(self, changes: AsyncIterator[None]) -> None:
        """Tell until the upload has ended, the client has gone, or the gateway leaves. Raises ConnectionError,
        TimeoutError."""
        leaving = asyncio.ensure_future(_either(gone(self._request), self._request.app[RUNNING].stopping))
        pending = asyncio.ensure_future(_next(changes))
        try:
            while not leaving.done():
                if await self._tell():
                    return
                # Whatever happens within the interval is told together at its end.
                await asyncio.wait({leaving}, timeout=self._options.events_interval_seconds)
                await asyncio.wait(
                    {leaving, pending},
                    timeout=self._options.events_keepalive_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if pending.done():
                    pending.result()
                    pending = asyncio.ensure_future(_next(changes))
            await self._send(f"event: reconnect\nretry: {RECONNECT_MILLISECONDS}\ndata: {{}}\n\n")
        except SluiceError as error:
            logger().warning(Log.REQUEST, upload_id=self._name, code=error.code, reason=error.message)
            await self._send(f"event: reconnect\nretry: {RECONNECT_MILLISECONDS}\ndata: {{}}\n\n")
        finally:
            leaving.cancel()
            pending.cancel()
            await asyncio.gather(leaving, pending, return_exceptions=True)

    async def _tell(self) -> bool:
        """Say what is new, or that there is nothing new; True when there is no more to come."""
        detail = await self._request.app[SERVICES].lookup.detail(self._name)
        shown = view(self._request, detail)
        number = detail.upload.updated_at_ms
        if shown == self._told:
            await self._send(": still here\n\n")
        else:
            await self._send(f"event: upload\nid: {number}\ndata: {shown.model_dump_json()}\n\n")
            self._told = shown
        if detail.upload.status not in ENDED:
            return False
        await self._send(f'event: end\nid: {number}{_END}\ndata: {{"status":"{detail.upload.status}"}}\n\n')
        return True

    async def _send(self, text: str) -> None:
        """Raises ConnectionError when the client has gone, TimeoutError when it does not take what it is sent."""
        async with asyncio.timeout(self._options.events_write_seconds):
            await self._stream.write(text.encode())


async def _next(changes: AsyncIterator[None]) -> None:
    """The next change. A feed that ends is a feed that is lost: the client is to come again."""
    try:
        await anext(changes)
    except StopAsyncIteration:
        raise SluiceError("REDIS_UNAVAILABLE", reason="the event feed ended") from None


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in (first, second)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/uploads/{id}/events",
        events,
        "Uploads",
        "Follow an upload",
        "Server-sent events until the upload has ended. `event: upload` carries the whole upload as JSON (not in the "
        "envelope): one at once, then one after each change, ten a second at most. `event: end` is the last. `event: "
        "reconnect` says that the stream ends here, but the upload does not: come again. Lines that begin with a "
        "colon keep the connection open.",
        answers=(
            Answer(200, "The stream", media_type="text/event-stream"),
            Answer(
                204,
                "The upload has ended and the client has had its last event (`Last-Event-ID`): EventSource stops",
                media_type="",
            ),
        ),
        errors=("UPLOAD_NOT_FOUND", "REDIS_UNAVAILABLE"),
        streaming=True,
    ),
)
