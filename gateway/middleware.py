"""Surrounds every request: request id, error envelope, one log line, two metrics, response headers. Reports responses
that their route does not document.

Guarantee: no exception of a handler reaches aiohttp, so every response has the one envelope; a crash is logged with its
traceback, which the response does not contain. Metric labels hold the route's template, never a path, and only known
methods, so a scanner cannot increase the number of time series. Requests of strangers and those above a limit are
logged as far as a budget of lines allows; the next line says how many were left out. A line holds the first
`PATH_CHARACTERS` of a path, so that no caller fills the log with long ones.
"""

from __future__ import annotations

import time
from typing import Any, Final

import structlog
from aiohttp import web

from gateway import access
from gateway.http.bodies import connection_ends
from gateway.http.cors import cors_headers
from gateway.http.envelope import REQUEST_ID, SERVER, STANDARD_HEADERS
from gateway.http.paths import without_tokens
from gateway.http.request_ids import HEADER, request_id
from gateway.http.state import OPTIONS, RUNNING
from gateway.keys import CALLER, CURRENT_ROUTE, ROUTE_HEADERS
from gateway.limits import LEVEL_FIELD, STRANGERS_LOG, level_item
from gateway.routing import ENVELOPE, Handler, Route
from gateway.spans import end_span
from pipeline.core.errors import RequestError, SluiceError
from pipeline.logs import Log, logger
from pipeline.telemetry import HTTP_REQUESTS, HTTP_SECONDS, REFUSALS

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

TOO_MANY = 429

PATH_CHARACTERS = 256
"""Of a path in the log: more than any path of a route has."""

CATCH_ALL = "/{path:.*}"
"""The path that matches what no route does."""

_BEARER: Final = 'Bearer realm="sluice"'
_BASIC: Final = 'Basic realm="sluice", charset="UTF-8"'


@web.middleware
async def handle_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only middleware."""
    began = time.perf_counter()
    request[REQUEST_ID] = request_id(request.headers.get(HEADER))
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]), request.app[RUNNING]:
        error: SluiceError | None = None
        try:
            response = await handler(request)
        except SluiceError as caught:
            error = caught
        except web.HTTPException:  # raised by aiohttp for targets without a path, such as `OPTIONS *` and CONNECT
            error = RequestError("ROUTE_NOT_FOUND")
        except Exception:  # noqa: BLE001  # every crash must become a response; it is logged with its traceback
            logger().exception(Log.REQUEST_CRASHED, method=request.method, path=shown_path(request))
            error = SluiceError("INTERNAL")
        except BaseException:  # its client has gone
            end_span(request, None, None)
            raise
        if error is not None:
            response = _failure(request, error)
            _report_limit(request, error)
        _close_if_needed(request, response)
        _observe(request, response, error, time.perf_counter() - began)
        end_span(request, response.status, error.code if error else None)
    return response


async def set_response_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Called before each response is sent, streams and errors included. What the route table declares wins over what a
    handler has set; the defaults do not."""
    response.headers.update(request.get(ROUTE_HEADERS, {}))
    response.headers.setdefault(HEADER, request.get(REQUEST_ID, ""))
    response.headers["Server"] = SERVER
    for name, value in STANDARD_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.update(cors_headers(request.headers.get("Origin"), request.app[OPTIONS]))


def _failure(request: web.Request, error: SluiceError) -> web.Response:
    route: Route | None = request.get(CURRENT_ROUTE)
    response = (ENVELOPE if route is None else route.error_form).respond(request, error)
    if response.status == 401:  # RFC 9110 section 11.6.1
        response.headers["WWW-Authenticate"] = _BEARER if route is None else _challenge(route.access)
    return response


def _challenge(needed: access.Access) -> str:
    """Basic only where it is accepted: a browser asks a person for a password then, also when a script has sent the
    request. A sender that knows only a URL sends the password in it after this challenge."""
    return _BASIC if needed.basic or needed is access.STORE else _BEARER


def _close_if_needed(request: web.Request, response: web.StreamResponse) -> None:
    """While the gateway shuts down, every connection is closed."""
    if not response.prepared and (connection_ends(request) or request.app[RUNNING].stopping.is_set()):
        response.force_close()


def _observe(request: web.Request, response: web.StreamResponse, error: SluiceError | None, seconds: float) -> None:
    route = request.get(CURRENT_ROUTE)
    template = _template(request)
    method = request.method if request.method in METHODS else "other"
    HTTP_REQUESTS.labels(template, method, str(response.status)).inc()
    if route is None or not route.streaming:
        HTTP_SECONDS.labels(template).observe(seconds)
    log = logger()
    code = error.code if error else None
    if route is not None and not route.documents(response.status, code):
        log.warning(Log.RESPONSE_UNDOCUMENTED, method=request.method, route=template, status=response.status, code=code)
    write = log.debug if route is not None and route.quiet else log.info
    if response.status >= 500:
        write = log.warning
    facts: dict[str, Any] = {"code": error.code, "reason": error.message} if error else {}
    refused = error is not None and error.http_status == TOO_MANY
    if refused:
        REFUSALS.labels(code).inc()
    # Without a route it is OPTIONS. A success without a caller is otherwise that of a store that has shown its secret.
    if refused or (CALLER not in request and (route is None or response.status >= 400)):
        left_out = STRANGERS_LOG.spend()
        if left_out is None:
            write = log.debug
        elif left_out:
            facts["left_out"] = left_out
    if error and "problems" in error.detail:  # the response names no paths
        facts["problems"] = error.detail["problems"]
    write(
        Log.REQUEST,
        method=request.method,
        path=shown_path(request),
        route=template,
        status=response.status,
        seconds=round(seconds, 4),
        client=request.remote,
        **facts,
    )


def _report_limit(request: web.Request, error: SluiceError) -> None:
    """The limit that Redis counts is reported where it was reached, beside the one that this gateway counts."""
    if error.code == "RATE_LIMITED" and error.detail["what"] == "creations" and LEVEL_FIELD in request[ROUTE_HEADERS]:
        item = level_item("creations", 0, error.detail["retry_after_seconds"])
        request[ROUTE_HEADERS][LEVEL_FIELD] += f", {item}"


def shown_path(request: web.Request) -> str:
    """The path of a request, for the log."""
    return without_tokens(request.path)[:PATH_CHARACTERS]


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unknown" if resource is None or resource.canonical == "/{path}" else resource.canonical


def refuse_when_stopping(request: web.Request) -> None:
    """Raises RequestError GATEWAY_BUSY during shutdown: work that may take long is no longer started."""
    if request.app[RUNNING].stopping.is_set():
        raise RequestError("GATEWAY_BUSY")
