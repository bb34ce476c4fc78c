"""Around every request: an id, the envelope of whatever goes wrong, one log line, two metrics, CORS.

Guarantee: no handler's exception reaches the HTTP library, so every answer has the one shape; a crash is logged with
its traceback and answered without it. Metrics carry the route's template, never a path, and only methods that exist: a
scanner cannot blow up the number of time series.
"""

from __future__ import annotations

import time

import structlog
from aiohttp import web

from gateway.http.cors import answer_headers
from gateway.http.envelope import REQUEST_ID, SERVER, failure
from gateway.http.request_ids import HEADER, request_id
from gateway.options import OPTIONS, RUNNING
from gateway.routing import Handler, Route
from pipeline.core.errors import RequestError, SluiceError
from pipeline.telemetry import HTTP_REQUESTS, HTTP_SECONDS, Log, logger

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

ANYWHERE = "/{path:.*}"
"""The path of the catch-all."""

CURRENT_ROUTE = web.RequestKey("route", Route)


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware, and the only one."""
    began = time.perf_counter()
    request[REQUEST_ID] = request_id(request.headers.get(HEADER))
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]), request.app[RUNNING]:
        error: SluiceError | None = None
        try:
            response = await handler(request)
        except SluiceError as caught:
            error = caught
        except web.HTTPException:  # aiohttp's own: what has no path at all, such as `OPTIONS *` and CONNECT
            error = RequestError("ROUTE_NOT_FOUND")
        except Exception:  # noqa: BLE001  # the last line: logged with its traceback, answered without it
            logger().exception(Log.REQUEST_CRASHED, method=request.method, path=request.path)
            error = SluiceError("INTERNAL")
        if error is not None:
            response = failure(error, request.path, request[REQUEST_ID])
        _close_if_needed(request, response)
        _observe(request, response, error, time.perf_counter() - began)
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On each answer just before it goes out, streams included."""
    response.headers.setdefault(HEADER, request.get(REQUEST_ID, ""))
    response.headers["Server"] = SERVER
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.update(answer_headers(request.headers.get("Origin"), request.app[OPTIONS].cors_origins))


def _close_if_needed(request: web.Request, response: web.StreamResponse) -> None:
    """A body that was not read to its end makes the connection useless for another request (RFC 9112 section 9.3);
    so does leaving."""
    if not response.prepared and (not request.content.at_eof() or request.app[RUNNING].stopping.is_set()):
        response.force_close()


def _observe(request: web.Request, response: web.StreamResponse, error: SluiceError | None, seconds: float) -> None:
    route = request.get(CURRENT_ROUTE)
    template = _template(request)
    method = request.method if request.method in METHODS else "other"
    HTTP_REQUESTS.labels(template, method, str(response.status)).inc()
    if route is None or not route.streaming:
        HTTP_SECONDS.labels(template).observe(seconds)
    log = logger()
    say = log.debug if route is not None and route.quiet else log.info
    if response.status >= 500:
        say = log.warning
    facts = {"code": error.code, "reason": error.message} if error else {}
    say(
        Log.REQUEST,
        method=request.method,
        path=request.path,
        route=template,
        status=response.status,
        seconds=round(seconds, 4),
        client=request.remote,
        **facts,
    )


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unknown" if resource is None or resource.canonical == "/{path}" else resource.canonical


def refuse_when_stopping(request: web.Request) -> None:
    """Raises RequestError GATEWAY_BUSY: work that may take long is not begun on the way out."""
    if request.app[RUNNING].stopping.is_set():
        raise RequestError("GATEWAY_BUSY")
