"""State of one application that the HTTP modules share, and the typed keys under which it is stored.

With a typed key, `request.app[OPTIONS]` needs no cast. Keys of anything beyond HTTP are in `gateway.keys`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from gateway.http.slots import OwnerSlots
from gateway.options import GatewayOptions


@dataclass(slots=True)
class Running:
    """Counts the requests in flight and says whether the gateway is shutting down. Belongs to one event loop."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    requests: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    def __enter__(self) -> None:
        self.requests += 1
        self.idle.clear()

    def __exit__(self, *_: object) -> None:
        self.requests -= 1
        if not self.requests:
            self.idle.set()


OPTIONS = web.AppKey("options", GatewayOptions)
RUNNING = web.AppKey("running", Running)
REQUEST_SLOTS = web.AppKey("request_slots", OwnerSlots)
"""Requests in progress, each of which holds a connection."""
DOWNLOAD_SLOTS = web.AppKey("download_slots", OwnerSlots)
