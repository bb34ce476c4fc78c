"""Routes for orchestrators and load balancers: is the process alive, can it serve requests.

They are two routes because a process that is alive but not ready must not be restarted, only receive no requests.

Guarantee: anybody may ask, and that costs next to nothing: however many do, one check of readiness runs at a time, and
a few in a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway import access
from gateway.http.envelope import success
from gateway.http.state import OPTIONS, RUNNING
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.bootstrap import GatewayServices
from pipeline.core.errors import RequestError, SluiceError
from pipeline.hidden_paths import without_paths
from pipeline.ports import VolumeSnapshot
from schemas.health import Alive, Ready, Room

_FRESH_SECONDS: Final = 0.25

Found = tuple[Mapping[str, str], Mapping[str, str], VolumeSnapshot | None]
"""Problems and, where there are none, warnings and the room of the cell."""


class Readiness:
    """What the latest check found. A check writes to the temp volume, and asks Redis and PostgreSQL."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._check: asyncio.Task[Found] | None = None
        self._began_at = 0.0

    async def latest(self) -> Found:
        """What was found at most `_FRESH_SECONDS` ago, or by the check that runs."""
        now = asyncio.get_running_loop().time()
        if self._check is None or (self._check.done() and now - self._began_at >= _FRESH_SECONDS):
            self._check = asyncio.create_task(self._examine(), name="readiness")
            self._began_at = now
        return await asyncio.shield(self._check)

    async def _examine(self) -> Found:
        if problems := await self._services.problems():
            return problems, {}, None
        return {}, await self._services.warnings(), await self._services.room()


READINESS = web.AppKey("readiness", Readiness)


async def healthy(request: web.Request) -> web.StreamResponse:
    """Checks no dependency: an unavailable one is no reason to restart this process."""
    return success(Alive())


async def ready(request: web.Request) -> web.StreamResponse:
    if request.app[RUNNING].stopping.is_set():
        raise RequestError("GATEWAY_BUSY")
    problems, warnings, room = await request.app[READINESS].latest()
    if problems:
        raise SluiceError("NOT_READY", names=", ".join(sorted(problems)), problems=dict(problems))
    found = Ready(
        warnings=without_paths(dict(warnings)),
        cell=request.app[OPTIONS].cell,
        volume=request.app[SERVICES].volume,
        room=room and _shown(room),
    )
    return success(found)


def _shown(volume: VolumeSnapshot) -> Room:
    return Room(
        budget=volume.budget_bytes,
        reserved=volume.reserved_bytes,
        available=volume.available_bytes,
        waiting=volume.waiting,
        draining=volume.draining,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/healthz",
        healthy,
        "Operation",
        "Liveness",
        "Responds 200 as long as the process runs; restart the process when it does not.",
        responses=(ResponseSpec(200, "Alive", Alive),),
        quiet=True,
        access=access.PUBLIC,
    ),
    Route(
        "GET",
        "/readyz",
        ready,
        "Operation",
        "Readiness",
        "503 while Redis is unavailable, refuses writes (out of memory, read-only, failed save, missing rights) or has "
        "lost the uploads on the temp volume, while the temp volume is not writable (`detail.problems`), and from the "
        "beginning of a shutdown. A full temp volume is not an error: uploads wait for room. Nor is a problem of "
        "PostgreSQL: uploads continue, and wait for it at their last stage. `warnings` lists what an operator should "
        "fix. `room` says how much the cell can take, and whether it is drained: a load balancer may send new uploads "
        "to the cell with the most. The other requests of an upload belong to its own cell, drained or not.",
        responses=(ResponseSpec(200, "Ready", Ready),),
        errors=("NOT_READY", "GATEWAY_BUSY"),
        quiet=True,
        access=access.PUBLIC,
    ),
)
