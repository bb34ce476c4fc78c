"""Routes for whoever runs the gateway: is the process alive, can it take requests.

They differ on purpose: a process that is alive but not ready must not be restarted, only sent no requests.
"""

from __future__ import annotations

from aiohttp import web

from gateway.api.answers import Alive, Ready
from gateway.http.envelope import success
from gateway.options import RUNNING, SERVICES
from gateway.routing import Answer, Route
from pipeline.core.errors import RequestError, SluiceError


async def healthy(request: web.Request) -> web.StreamResponse:
    """Asks nobody: a dependency that is away is no reason to restart this process."""
    return success(Alive())


async def ready(request: web.Request) -> web.StreamResponse:
    if request.app[RUNNING].stopping.is_set():
        raise RequestError("GATEWAY_BUSY")
    problems = await request.app[SERVICES].problems()
    if problems:
        raise SluiceError("NOT_READY", names=", ".join(sorted(problems)), problems=dict(problems))
    return success(Ready(warnings=dict(await request.app[SERVICES].warnings())))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/healthz",
        healthy,
        "Operation",
        "Is the process alive",
        "Answers as long as the process does; restart it when this does not answer.",
        answers=(Answer(200, "Alive", Alive),),
        quiet=True,
    ),
    Route(
        "GET",
        "/readyz",
        ready,
        "Operation",
        "Can it take requests",
        "503 while Redis is away or the temp volume takes no bytes (`detail.problems`), and from the moment the "
        "gateway is told to stop. A full volume is none of these: uploads wait for room, and `warnings` tells.",
        answers=(Answer(200, "Ready", Ready),),
        errors=("NOT_READY", "GATEWAY_BUSY"),
        quiet=True,
    ),
)
