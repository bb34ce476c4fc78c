"""The application: the route table mounted on aiohttp, with a response for every path and every method.

Guarantee: clients never see aiohttp's own error pages. Each path of the table has handlers for all methods and refuses
those that it does not support with 405; every other path gets 404. All of them run inside the one middleware. aiohttp
never sends "100 Continue" itself, so no body is requested before a handler reads it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from gateway.access import PERMIT_PATH
from gateway.api import (
    contents,
    deletions,
    direct,
    downloads,
    events,
    health,
    imports,
    manifests,
    metrics,
    receipts,
    segments,
    status,
    storage_events,
    thumbnails,
    tokens,
    uploads,
    webhooks,
)
from gateway.api.health import READINESS, Readiness
from gateway.api.streams import share_streams
from gateway.authentication import require_caller
from gateway.http.cors import preflight_headers
from gateway.http.envelope import success
from gateway.http.slots import OwnerSlots, downloads_taken, requests_taken
from gateway.http.state import DOWNLOAD_SLOTS, OPTIONS, REQUEST_SLOTS, RUNNING, Running
from gateway.keys import CALLER, CURRENT_ROUTE, DOCUMENT, LIMITS, ROUTE_HEADERS, SERVICES
from gateway.limits import RequestLimits
from gateway.middleware import CATCH_ALL, handle_request, refuse_when_stopping, set_response_headers
from gateway.openapi import build_document
from gateway.options import GatewayOptions
from gateway.pages import assets, dashboard, docs, uploading
from gateway.protocols import companion, files
from gateway.routing import METHOD_OVERRIDE, Handler, Route, methods_of, require_access
from gateway.spans import is_traced, start_span
from pipeline.bootstrap import GatewayServices
from pipeline.core.errors import RequestError
from pipeline.tracing import enabled
from schemas.http import AllowedMethods

ALL_ROUTES: tuple[Route, ...] = (
    *uploads.ROUTES,
    *segments.ROUTES,
    *direct.ROUTES,
    *files.ROUTES,
    *companion.ROUTES,
    *events.ROUTES,
    *thumbnails.ROUTES,
    *contents.ROUTES,
    *downloads.ROUTES,
    *manifests.ROUTES,
    *receipts.ROUTES,
    *imports.ROUTES,
    *storage_events.ROUTES,
    *tokens.ROUTES,
    *webhooks.ROUTES,
    *deletions.ROUTES,
    *status.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *docs.ROUTES,
    *uploading.ROUTES,
    *dashboard.ROUTES,
    *assets.ROUTES,
)


@functools.cache
def whole_document() -> dict[str, Any]:
    """The description of `ALL_ROUTES`, built once per process: it takes a tenth of a second. Not to be changed."""
    return build_document(ALL_ROUTES)


def build_app(
    services: GatewayServices, options: GatewayOptions | None = None, routes: tuple[Route, ...] = ALL_ROUTES
) -> web.Application:
    """The gateway as an application, ready to be served. The caller opens and closes `services`. Raises TypeError for a
    route without `access`."""
    require_access(routes)
    app = web.Application(middlewares=[handle_request])
    app[SERVICES] = services
    app[OPTIONS] = options or GatewayOptions()
    app[LIMITS] = RequestLimits.of(
        app[OPTIONS].owner_requests_per_second, app[OPTIONS].owner_creations_per_second, app[OPTIONS].trusted_proxies
    )
    app[RUNNING] = Running()
    app[REQUEST_SLOTS] = OwnerSlots(None, app[OPTIONS].owner_requests, requests_taken)
    app[DOWNLOAD_SLOTS] = OwnerSlots(app[OPTIONS].downloads, app[OPTIONS].owner_downloads, downloads_taken)
    share_streams(app)
    app[READINESS] = Readiness(services)
    app[DOCUMENT] = whole_document() if routes is ALL_ROUTES else build_document(routes)
    app.on_response_prepare.append(set_response_headers)
    for path in dict.fromkeys(path for route in routes for path in (route.path, *route.aliases)):
        found = [route for route in routes if path in (route.path, *route.aliases)]
        allowed = methods_of(routes, path)
        _mount(app, path, found, allowed)
        if any(route.access.in_path for route in found):
            _mount(app, PERMIT_PATH + path, found, allowed)
    app.router.add_route("*", CATCH_ALL, _not_found, expect_handler=_defer_continue)
    return app


def _mount(app: web.Application, path: str, routes: list[Route], allowed: tuple[str, ...]) -> None:
    """Serve `routes` of one path at `path`, which accepts the methods `allowed`."""
    by_method = {route.method: route for route in routes}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]
    handlers = {method: _serve(route) for method, route in by_method.items()}
    handlers["OPTIONS"] = _options(allowed, handlers.get("OPTIONS"))
    handlers["*"] = _wrong_method(allowed, _common_headers(routes))
    if any(route.overridable for route in routes):
        overridden = _overridden(dict(handlers))
        kept = ("OPTIONS", "*")  # preflights, and methods that the path does not support: TRACE stays TRACE
        handlers = {method: handler if method in kept else overridden for method, handler in handlers.items()}
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        resource.add_route(method, handler, expect_handler=_defer_continue)


def _overridden(handlers: Mapping[str, Handler]) -> Handler:
    """The handler of the method that X-HTTP-Method-Override names, for clients that cannot send that method."""

    async def handle(request: web.Request) -> web.StreamResponse:
        method = request.headers.get(METHOD_OVERRIDE, request.method)
        return await handlers.get(method, handlers["*"])(request)

    return handle


def _common_headers(routes: Iterable[Route]) -> Mapping[str, str]:
    """The response headers that all these routes declare with the same value, OPTIONS aside."""
    return dict(
        set.intersection(*(set(route.response_headers.items()) for route in routes if route.method != "OPTIONS"))
    )


def _serve(route: Route) -> Handler:
    traced = is_traced(route)

    async def handle(request: web.Request) -> web.StreamResponse:
        request[CURRENT_ROUTE] = route
        request[ROUTE_HEADERS] = dict(route.response_headers)
        if route.new_work:
            refuse_when_stopping(request)
        await require_caller(request, route)
        if traced and enabled():
            await start_span(request, route)
        if CALLER not in request:
            return await route.handler(request)
        with request.app[REQUEST_SLOTS].taken(request[CALLER].owner):
            return await route.handler(request)

    return handle


def _options(allowed: tuple[str, ...], own: Handler | None) -> Handler:
    """`own`: the handler of a path that describes itself by more than its methods."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = success(AllowedMethods(allowed=list(allowed))) if own is None else await own(request)
        response.headers["Allow"] = ", ".join(allowed)
        if "Access-Control-Request-Method" in request.headers:
            response.headers.update(preflight_headers(request.headers, request.app[OPTIONS], allowed))
        return response

    return handle


def _wrong_method(allowed: tuple[str, ...], headers: Mapping[str, str]) -> Handler:
    """405. It carries the headers that every route of the path sends, since they describe the path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[ROUTE_HEADERS] = dict(headers)
        method = request.headers.get(METHOD_OVERRIDE, request.method) if request.method in allowed else request.method
        raise RequestError("METHOD_NOT_ALLOWED", method=method[:32], allowed=", ".join(allowed))

    return handle


async def _not_found(request: web.Request) -> web.StreamResponse:
    raise RequestError("ROUTE_NOT_FOUND")


async def _defer_continue(request: web.Request) -> None:
    """Replaces aiohttp's reaction to `Expect: 100-continue`. `gateway.http.bodies` sends "100 Continue" when a body is
    read."""
