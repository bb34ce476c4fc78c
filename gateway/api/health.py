"""Routes for orchestrators and load balancers: is the process alive, can it serve requests.

They are two routes because a process that is alive but not ready must not be restarted, only receive no requests.
"""

from __future__ import annotations

from aiohttp import web

from gateway import access
from gateway.http.envelope import success
from gateway.http.paths import without_paths
from gateway.http.state import RUNNING
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.errors import RequestError, SluiceError
from schemas.health import Alive, Ready


async def healthy(request: web.Request) -> web.StreamResponse:
    """Checks no dependency: an unavailable one is no reason to restart this process."""
    return success(Alive())


async def ready(request: web.Request) -> web.StreamResponse:
    if request.app[RUNNING].stopping.is_set():
        raise RequestError("GATEWAY_BUSY")
    problems = await request.app[SERVICES].problems()
    if problems:
        raise SluiceError("NOT_READY", names=", ".join(sorted(problems)), problems=dict(problems))
    return success(Ready(warnings=without_paths(dict(await request.app[SERVICES].warnings()))))


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
        "fix.",
        responses=(ResponseSpec(200, "Ready", Ready),),
        errors=("NOT_READY", "GATEWAY_BUSY"),
        quiet=True,
        access=access.PUBLIC,
    ),
)
