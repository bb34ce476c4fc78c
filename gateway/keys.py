"""Typed keys of what an application and a request carry for the routes. `gateway.http.state` has the keys of HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.limits import RequestLimits
from gateway.routing import Route
from pipeline.bootstrap import GatewayServices
from pipeline.core.access import Caller

SERVICES = web.AppKey("services", GatewayServices)

LIMITS = web.AppKey("limits", RequestLimits)
"""How often requests are served."""

DOCUMENT = web.AppKey("openapi", dict[str, Any])
"""The OpenAPI document, as `gateway.openapi` builds it."""

CALLER = web.RequestKey("caller", Caller)
"""Who makes this request. Set for every route except those that anyone may call."""

CURRENT_ROUTE = web.RequestKey("route", Route)
"""The row that serves this request; not set for OPTIONS, 404 and 405."""

ROUTE_HEADERS = web.RequestKey("route_headers", dict[str, str])
"""The headers that the route table declares for every response to this request."""
