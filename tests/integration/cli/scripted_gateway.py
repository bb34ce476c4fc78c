"""A gateway that follows a script: what real ones do at moments that a test cannot choose, over real HTTP.

It keeps the bytes that it accepts, refuses segments when its window is full, wants segments, loses them, and ends the
upload, as the test's callbacks say. Every request for a segment is recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

MEDIA = {
    "kind": "video",
    "container": "mp4",
    "duration_seconds": 12.0,
    "size_bytes": 1000,
    "streams": [
        {
            "index": 0,
            "codec": "h264",
            "type": "video",
            "width": 1920,
            "height": 1080,
            "coded_width": 1920,
            "coded_height": 1080,
        },
        {"index": 1, "codec": "aac", "type": "audio", "channels": 2},
    ],
}
SEGMENT_BYTES = 64 * 1024


@dataclass
class Attempt:
    """One request for a segment. `body_bytes`: what arrived of its body."""

    number: int
    at: float
    expects: bool
    refused: str | None = None
    body_bytes: int = 0


@dataclass
class ScriptedGateway:
    """`refuse(number)` and `refuse_creation()` return an error (status, code, Retry-After) or None. `accepted(number)`
    runs afterwards."""

    size: int
    url: str = ""
    refuse: Callable[[int], tuple[int, str, int] | None] = lambda number: None
    refuse_creation: Callable[[], tuple[int, str, int] | None] = lambda: None
    accepted: Callable[[int], None] = lambda number: None
    segment_seconds: float = 0.0
    sends_continue: bool = True
    has_events: bool = True
    responses_want: bool = True
    known: dict[str, Any] = field(default_factory=dict)
    """Fields of the upload that a newer gateway adds, or that the script changes."""
    parts: dict[int, bytes] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def count(self) -> int:
        return -(-self.size // SEGMENT_BYTES)

    @property
    def sent(self) -> list[int]:
        """The numbers of the accepted segments, in order."""
        return [attempt.number for attempt in self.attempts if attempt.refused is None]

    def view(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        missing = [[number, number] for number in range(1, self.count + 1) if number not in self.parts]
        base = f"{self.url}/v1/uploads/u"
        links = {"self": base, "events": f"{base}/events", "segment": f"{base}/segments/{{number}}"}
        received = sum(map(len, self.parts.values()))
        return {
            "id": "u",
            "owner": "default",
            "status": "receiving" if missing else "processing",
            "queue_position": None,
            "filename": "film.mp4",
            "size": self.size,
            "content_type": "video/mp4",
            "metadata": {},
            "segment_size": SEGMENT_BYTES,
            "segment_count": self.count,
            "bytes_received": received,
            "bytes_stored": received,
            "missing_segments": missing,
            "stages": {},
            "error": None,
            "content_id": None,
            "created_at": now,
            "updated_at": now,
            "expires_at": None,
            "links": links,
            **self.known,
        }

    def end(self, status: str, code: str, message: str) -> None:
        self.known |= {"status": status, "error": {"code": code, "message": message}}

    async def _uploads(self, _: web.Request) -> web.Response:
        return _success({"items": [], "next_cursor": None})

    async def _create(self, _: web.Request) -> web.Response:
        refused = self.refuse_creation()
        return _failure(*refused) if refused is not None else _success(self.view(), 201)

    async def _show(self, _: web.Request) -> web.Response:
        return _success(self.view())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not self.has_events:
            return _failure(404, "ROUTE_NOT_FOUND", 0)
        with suppress(ConnectionError):
            return await self._follow(request)
        return web.Response()

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        last: object = None
        while True:
            now = self.view()
            state = {**now, "updated_at": None, "created_at": None}
            if state != last:
                last = state
                await stream.write(f"data: {web.json_response(now).text}\n\n".encode())
            if now["status"] in ("ready", "failed", "expired", "cancelled"):
                return stream
            await asyncio.sleep(0.02)

    async def _segment(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        expects = request.headers.get("Expect", "").lower() == "100-continue"
        attempt = Attempt(number, time.monotonic(), expects)
        self.attempts.append(attempt)
        refused = self.refuse(number)
        if self.known.get("status") in ("failed", "expired", "cancelled"):
            refused = (409, "UPLOAD_ENDED", 0)
        if refused is not None:
            attempt.refused = refused[1]
            return _failure(*refused)
        if expects and self.sends_continue:
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        async for block in request.content.iter_any():
            body += block
            attempt.body_bytes = len(body)
        await asyncio.sleep(self.segment_seconds)
        repeated = number in self.parts
        self.parts[number] = body
        self.accepted(number)
        view = self.view()
        receipt = {"number": number, "size": len(body), "digest": "crc32c=:AAAAAA==:", "crc32c": "00000000"}
        wanted = (
            {"wanted_segments": view["wanted_segments"]} if "wanted_segments" in view and self.responses_want else {}
        )
        return _success({**receipt, "repeated": repeated, "upload_status": view["status"], **wanted})


def _success(data: object, status: int = 200) -> web.Response:
    return web.json_response({"success": True, "status": status, "data": data}, status=status)


def _failure(status: int, code: str, retry_after: int) -> web.Response:
    error = {"code": code, "message": "No.", "path": "/", "detail": {}, "request_id": "r"}
    headers = {"Retry-After": str(retry_after), "Connection": "close"}
    return web.json_response({"success": False, "status": status, "error": error}, status=status, headers=headers)


async def _say_nothing(_: web.Request) -> None:
    """Replaces aiohttp's own "100 Continue", which it sends before a handler can refuse."""


@asynccontextmanager
async def scripted_gateway(gateway: ScriptedGateway) -> AsyncIterator[ScriptedGateway]:
    """Serves `gateway`, and sets its `url`."""
    app = web.Application(client_max_size=0)
    app.router.add_get("/v1/uploads", gateway._uploads)
    app.router.add_post("/v1/uploads", gateway._create)
    app.router.add_get("/v1/uploads/u", gateway._show)
    app.router.add_get("/v1/uploads/u/events", gateway._events)
    app.router.add_put("/v1/uploads/u/segments/{number}", gateway._segment, expect_handler=_say_nothing)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()
