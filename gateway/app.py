"""The application: the route table mounted on aiohttp, with what any path and any method may meet.

Guarantee: aiohttp's own answers are never seen. Every path of the table takes every method and answers those it does
not know with 405 itself, and whatever path is left is answered with 404, all behind the one middleware. So no request
is told "100 Continue" by the library before a handler wants its body.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.api import (
    contents,
    deletions,
    direct,
    downloads,
    events,
    health,
    imports,
    metrics,
    segments,
    storage_events,
    uploads,
)
from gateway.api.answers import AllowedMethods
from gateway.http.cors import preflight_headers
from gateway.http.envelope import success
from gateway.middleware import ANYWHERE, CURRENT_ROUTE, add_headers, around, refuse_when_stopping
from gateway.openapi import DOCUMENT, build_document
from gateway.options import DOWNLOADING, OPTIONS, RUNNING, SERVICES, GatewayOptions, Running
from gateway.pages import docs
from gateway.routing import ROUTES, Handler, Route, methods_of
from pipeline.bootstrap import GatewayServices
from pipeline.core.errors import RequestError

ALL_ROUTES: tuple[Route, ...] = (
    *uploads.ROUTES,
    *segments.ROUTES,
    *direct.ROUTES,
    *events.ROUTES,
    *contents.ROUTES,
    *downloads.ROUTES,
    *imports.ROUTES,
    *storage_events.ROUTES,
    *deletions.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *docs.ROUTES,
)


def build_app(services: GatewayServices, options: GatewayOptions | None = None) -> web.Application:
    """The gateway as an application, ready to be served. It owns nothing: `services` outlive it."""
    app = web.Application(middlewares=[around])
    app[SERVICES] = services
    app[OPTIONS] = options or GatewayOptions()
    app[RUNNING] = Running()
    app[DOWNLOADING] = asyncio.Semaphore(app[OPTIONS].downloads)
    app[ROUTES] = ALL_ROUTES
    app[DOCUMENT] = build_document(ALL_ROUTES)
    app.on_response_prepare.append(add_headers)
    for path in dict.fromkeys(route.path for route in ALL_ROUTES):
        _mount(app, path)
    app.router.add_route("*", ANYWHERE, _nowhere, expect_handler=_ask_later)
    return app


def _mount(app: web.Application, path: str) -> None:
    here = {route.method: route for route in app[ROUTES] if route.path == path}
    allowed = methods_of(app[ROUTES], path)
    if "GET" in here:
        here["HEAD"] = here["GET"]
    resource = app.router.add_resource(path)
    for method, route in here.items():
        resource.add_route(method, _named(route), expect_handler=_ask_later)
    resource.add_route("OPTIONS", _options(allowed), expect_handler=_ask_later)
    resource.add_route("*", _wrong_method(allowed), expect_handler=_ask_later)


def _named(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[CURRENT_ROUTE] = route
        if route.new_work:
            refuse_when_stopping(request)
        return await route.handler(request)

    return handle


def _options(allowed: tuple[str, ...]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {"Allow": ", ".join(allowed)}
        if "Access-Control-Request-Method" in request.headers:
            headers.update(preflight_headers(request.headers.get("Origin"), request.app[OPTIONS].cors_origins, allowed))
        return success(AllowedMethods(allowed=list(allowed)), headers=headers)

    return handle


def _wrong_method(allowed: tuple[str, ...]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise RequestError("METHOD_NOT_ALLOWED", method=request.method[:32], allowed=", ".join(allowed))

    return handle


async def _nowhere(request: web.Request) -> web.StreamResponse:
    raise RequestError("ROUTE_NOT_FOUND")


async def _ask_later(request: web.Request) -> None:
    """Takes the place of aiohttp's answer to `Expect: 100-continue`: the body is asked for when it is read, see
    `bodies`."""
