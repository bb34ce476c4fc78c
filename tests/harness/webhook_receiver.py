"""An endpoint of webhooks that verifies what it receives, and that can fail, hang and die."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.harness.cell import eventually

Behaviour = Callable[[int], str]
"""From the number of a request to what happens with it: `ok`, `fail`, `hang`, or `die`: the connection is cut."""


@dataclass
class Received:
    """A request whose signature was right. `accepted`: it was responded to with 204."""

    event_id: str
    type: str
    upload_id: str
    data: Mapping[str, Any]
    headers: Mapping[str, str]
    accepted: bool


@dataclass
class Receiver:
    """`secrets`: any of them may have signed. `requests`: every verified one, in order of arrival."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    behave: Behaviour = lambda number: "ok"
    requests: list[Received] = field(default_factory=list)
    unverified: int = 0
    counted: int = 0
    _runner: web.AppRunner | None = None
    _port: int = 0

    @property
    def accepted(self) -> list[Received]:
        return [item for item in self.requests if item.accepted]

    def first_accepted(self) -> dict[str, list[str]]:
        """Types of the events of each upload, in the order in which they were accepted first."""
        known: set[str] = set()
        found: dict[str, list[str]] = defaultdict(list)
        for item in self.accepted:
            if item.event_id not in known:
                known.add(item.event_id)
                found[item.upload_id].append(item.type)
        return found

    async def until(self, count: int, seconds: float = 60.0) -> None:
        """Wait until this many different events have been accepted."""

        async def arrived() -> bool:
            return len({item.event_id for item in self.accepted}) >= count

        await eventually(arrived, seconds, lambda: f"{count} events, not {sorted(i.event_id for i in self.accepted)}")

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application()
        app.router.add_post("/events", self.handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/events"

    async def stop(self) -> None:
        """Connections are refused from now on."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def refuse_until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Refuse connections until `condition` holds."""
        await self.stop()
        try:
            await eventually(condition, 60.0, lambda: "the condition, while connections are refused")
        finally:
            await self.start()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.counted += 1
        if not any(_verified(secret, body, request.headers) for secret in self.secrets):
            self.unverified += 1
            return web.Response(status=401)
        event = json.loads(body)
        behaviour = self.behave(self.counted)
        received = Received(
            request.headers["webhook-id"],
            event["type"],
            event["data"].get("upload_id", ""),
            event["data"],
            dict(request.headers),
            behaviour == "ok",
        )
        self.requests.append(received)
        if behaviour == "hang":
            await asyncio.sleep(3600)  # its caller gives up
        if behaviour == "die" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=204 if behaviour == "ok" else 503)


def _verified(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


@asynccontextmanager
async def webhook_receiver(receiver: Receiver | None = None) -> AsyncIterator[Receiver]:
    """Listens on loopback while the block runs."""
    receiver = receiver or Receiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
