"""The route that streams every change of an upload: server-sent events (WHATWG HTML, section 9.2).

Guarantee: each event carries the whole upload, so a client needs no state and simply reconnects when it was cut off.
The event feed only says that something changed; the data is always read from Redis, also at each keep-alive, so a lost
notification delays an event by seconds but never makes it wrong. A client that disconnects, or stops reading, releases
everything at once. A stream ends within seconds when the key or token that opened it is revoked or expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web

from gateway import access
from gateway.api.streams import STREAM_SLOTS, UPLOAD_READS, ShownUpload
from gateway.error_codes import UPLOAD_LOOKUP_ERRORS
from gateway.http.connection import client_gone
from gateway.http.state import OPTIONS, RUNNING
from gateway.http.streaming import until_distrusted
from gateway.ids import upload_id
from gateway.keys import CALLER, SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.errors import SluiceError
from pipeline.core.lifecycle import ENDED
from pipeline.logs import Log, logger
from pipeline.tasks import end_tasks
from pipeline.telemetry import EVENT_STREAMS
from schemas import examples

RECONNECT_MILLISECONDS = 1000
"""How long a client waits before it reconnects: the value of `retry:`."""

_END_SUFFIX = "-end"
"""Suffix of the last event's id. A client that reconnects with this id (EventSource does) gets 204, which stops it."""

_AT_ONCE = frozenset({"status", "wanted"})
"""Kinds of changes that are sent without waiting for others."""

_RECONNECT = f"event: reconnect\nretry: {RECONNECT_MILLISECONDS}\ndata: {{}}\n\n"
_CONTENT_TYPE = {"Content-Type": "text/event-stream"}


async def events(request: web.Request) -> web.StreamResponse:
    """Every refusal happens before the stream begins, in the envelope."""
    with request.app[STREAM_SLOTS].taken(request[CALLER].owner):
        return await _stream(request, upload_id(request))


async def _stream(request: web.Request, name: str) -> web.StreamResponse:
    services, reads = request.app[SERVICES], request.app[UPLOAD_READS]
    has_seen_end = request.headers.get("Last-Event-ID", "").endswith(_END_SUFFIX)
    if has_seen_end or request.method == "HEAD":
        status = (await reads.latest(name)).detail.upload.status
        if has_seen_end and status in ENDED:
            return web.Response(status=204)
        if request.method == "HEAD":
            return web.Response(headers=_CONTENT_TYPE)
    stream = web.StreamResponse(headers=_CONTENT_TYPE)
    stream.force_close()
    # Subscribe before reading, so that a change in between is noticed.
    async with services.feed.watch(name) as changes, services.feed.watch(name, _AT_ONCE) as urgent:
        first = await reads.latest(name)
        with EVENT_STREAMS.track_inprogress(), suppress(ConnectionError, TimeoutError):
            await stream.prepare(request)
            await _EventStream(request, stream, name).run(first, changes, urgent)
    return stream


class _EventStream:
    """One open stream."""

    def __init__(self, request: web.Request, stream: web.StreamResponse, name: str) -> None:
        self._request = request
        self._stream = stream
        self._name = name
        self._options = request.app[OPTIONS]
        self._last_sent = ""

    async def run(self, latest: ShownUpload, changes: AsyncIterator[None], urgent: AsyncIterator[None]) -> None:
        """Send `latest`, then events until the upload has ended, the client has disconnected, its key or token is no
        longer valid, or the gateway shuts down. Raises ConnectionError, TimeoutError."""
        holds = partial(self._request.app[SERVICES].authenticator.holds, self._request[CALLER])
        leaving = asyncio.ensure_future(
            _first(
                client_gone(self._request).wait(),
                self._request.app[RUNNING].stopping.wait(),
                until_distrusted(holds),
            )
        )
        any_change, urgent_change = (asyncio.ensure_future(_next(feed)) for feed in (changes, urgent))
        try:
            while not leaving.done():
                if await self._send_state(latest):
                    return
                # Changes within the interval are combined into one event at its end, unless one is urgent.
                for awaited, seconds in (
                    ({leaving, urgent_change}, self._options.events_interval_seconds),
                    ({leaving, urgent_change, any_change}, self._options.events_keepalive_seconds),
                ):
                    await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if any_change.done():
                    any_change.result()
                    any_change = asyncio.ensure_future(_next(changes))
                if urgent_change.done():
                    urgent_change.result()
                    urgent_change = asyncio.ensure_future(_next(urgent))
                if not leaving.done():
                    latest = await self._request.app[UPLOAD_READS].latest(self._name)
            leaving.result()
            await self._send(_RECONNECT)
        except SluiceError as error:
            logger().warning(Log.REQUEST, upload_id=self._name, code=error.code, reason=error.message)
            await self._send(_RECONNECT)
        finally:
            await end_tasks(leaving, any_change, urgent_change)

    async def _send_state(self, latest: ShownUpload) -> bool:
        """Send the upload if it has changed, else a keep-alive. True: the upload has ended and the last event was
        sent."""
        detail, shown = latest.detail, latest.text(self._request)
        number = detail.upload.updated_at_ms
        if shown == self._last_sent:
            await self._send(": keep-alive\n\n")
        else:
            await self._send(f"event: upload\nid: {number}\ndata: {shown}\n\n")
            self._last_sent = shown
        if detail.upload.status not in ENDED:
            return False
        await self._send(f'event: end\nid: {number}{_END_SUFFIX}\ndata: {{"status":"{detail.upload.status}"}}\n\n')
        return True

    async def _send(self, text: str) -> None:
        """Raises ConnectionError when the client has disconnected, TimeoutError when it does not read."""
        async with asyncio.timeout(self._options.events_write_seconds):
            await self._stream.write(text.encode())


async def _next(changes: AsyncIterator[None]) -> None:
    """Wait for the next change. Raises SluiceError REDIS_UNAVAILABLE when the feed has ended, which makes the client
    reconnect."""
    try:
        await anext(changes)
    except StopAsyncIteration:
        raise SluiceError("REDIS_UNAVAILABLE", reason="the event feed ended") from None


async def _first(*awaited: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of these has ended. Raises what it raised."""
    waiting = [asyncio.ensure_future(one) for one in awaited]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end_tasks(*waiting)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/uploads/{id}/events",
        events,
        "Uploads",
        "Follow an upload",
        "Server-sent events until the upload has ended. `event: upload` carries the whole upload as "
        "JSON, without the envelope: at the beginning and after each change. Changes within a quarter of a second "
        "come as one event, but a new status and newly wanted segments come at once. `event: end` is the last "
        "event. `event: reconnect` means that the stream ends before the upload: reconnect. A stream also ends this "
        "way when its key or token is no longer valid; then the new request is refused. Lines that begin "
        "with a colon keep the connection open.",
        responses=(
            ResponseSpec(200, "The stream", media_type="text/event-stream", example=examples.EVENTS),
            ResponseSpec(
                204,
                "The upload has ended and the client has received its last event (`Last-Event-ID`). EventSource stops "
                "reconnecting",
                media_type="",
            ),
        ),
        errors=(*UPLOAD_LOOKUP_ERRORS, "STREAM_LIMIT", "GATEWAY_BUSY"),
        streaming=True,
        response_headers={"X-Accel-Buffering": "no"},
        access=access.STREAM,
    ),
)
