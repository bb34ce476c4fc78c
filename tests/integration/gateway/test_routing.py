"""What a row of the route table declares is sent with every response of that route, errors included."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from gateway import access
from gateway.app import build_app
from gateway.keys import DOCUMENT
from gateway.pages.docs import ROUTES as DOCS
from gateway.routing import Handler, ResponseSpec, Route
from gateway.server import listening
from pipeline.bootstrap import GatewayServices
from pipeline.core.errors import RequestError
from pipeline.logs import Log
from pipeline.uploads.receive_buffer import ReceiveBuffer
from schemas.health import Alive
from tests.integration.gateway.conftest import OPTIONS, ORIGIN
from tests.integration.gateway.truth import TruthfulClient

pytestmark = pytest.mark.integration

# What the gateway itself needs; the handlers of these routes need none.
SERVICES = cast(GatewayServices, SimpleNamespace(receive_buffer=ReceiveBuffer(1024 * 1024)))
HEADERS = {"Tested": "yes", "Cache-Control": "max-age=60"}


async def crash(_: web.Request) -> web.StreamResponse:
    raise RuntimeError("crash")


async def refuse(_: web.Request) -> web.StreamResponse:
    raise RequestError("CONTENT_NOT_FOUND", content_id="x")


async def succeed(_: web.Request) -> web.StreamResponse:
    return web.Response(text="{}", content_type="application/json", headers={"Cache-Control": "no-store"})


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b"{}")
    return response


ROUTES = tuple(
    Route(
        "GET",
        f"/tested/{handler.__name__}",
        handler,
        "Tested",
        handler.__name__,
        "",
        responses=(ResponseSpec(200, "Success"),),
        errors=("CONTENT_NOT_FOUND",),
        response_headers=HEADERS,
        access=access.PUBLIC,
    )
    for handler in (crash, refuse, succeed, stream)
)


@asynccontextmanager
async def serving(*routes: Route) -> AsyncIterator[TruthfulClient]:
    """A client of a gateway with these routes only. Their handlers need no services."""
    app = build_app(SERVICES, OPTIONS, routes)
    document: dict[str, Any] = app[DOCUMENT]
    async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
        yield TruthfulClient(session, served.url, document)


@pytest.mark.parametrize(("name", "status"), [("crash", 500), ("refuse", 404), ("succeed", 200), ("stream", 200)])
async def test_every_response_of_a_route_carries_its_headers(name: str, status: int) -> None:
    async with serving(*ROUTES) as client:
        response = await client.request("GET", f"/tested/{name}")
    assert response.status == status
    assert {header: response.headers.getall(header) for header in HEADERS} == {
        header: [value] for header, value in HEADERS.items()
    }


async def undeclared(_: web.Request) -> web.StreamResponse:
    raise RequestError("CURSOR_INVALID")


async def partial(_: web.Request) -> web.StreamResponse:
    return web.Response(status=206, text="{}", content_type="application/json")


@pytest.mark.parametrize(
    ("handler", "status", "fact"),
    [(undeclared, 400, "code=CURSOR_INVALID"), (partial, 206, "status=206"), (refuse, 404, ""), (succeed, 200, "")],
)
async def test_a_response_that_its_route_does_not_declare_is_logged(
    capfd: pytest.CaptureFixture[str], handler: Handler, status: int, fact: str
) -> None:
    route = replace(ROUTES[0], handler=handler, path="/tested/{id}")
    app = build_app(SERVICES, OPTIONS, (route,))
    async with (
        listening(app, "127.0.0.1", 0) as served,
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/tested/some-id") as response,
    ):
        assert response.status == status
    lines = re.sub(r"\x1b\[[0-9;]*m", "", "".join(capfd.readouterr())).splitlines()
    found = [line for line in lines if Log.RESPONSE_UNDOCUMENTED in line]
    assert len(found) == bool(fact)
    assert all(fact in line and "route=/tested/{id}" in line and "some-id" not in line for line in found)


async def test_head_carries_them_too() -> None:
    async with serving(*ROUTES) as client:
        response = await client.request("HEAD", "/tested/refuse")
    assert (response.status, response.headers["Tested"]) == (404, "yes")


async def test_a_405_carries_what_all_routes_of_its_path_have_in_common() -> None:
    get = ROUTES[2]
    post = Route(
        "POST",
        get.path,
        succeed,
        "Tested",
        "post",
        "",
        responses=(ResponseSpec(200, "Success", Alive),),
        response_headers={"Tested": "yes", "Cache-Control": "no-cache"},
        access=access.PUBLIC,
    )
    async with serving(get, post) as client:
        response = await client.request("DELETE", get.path)
    assert (response.status, response.code) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert response.headers["Tested"] == "yes"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/tested", 404), ("OPTIONS", "/tested/succeed", 200)])
async def test_responses_of_no_route_carry_the_defaults_only(method: str, path: str, status: int) -> None:
    async with serving(*ROUTES) as client:
        response = await client.request(method, path, headers={"Origin": ORIGIN})
    assert response.status == status
    assert "Tested" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_the_description_may_be_cached_but_must_be_revalidated() -> None:
    async with serving(*DOCS) as client:
        page = await client.request("GET", "/docs")
        document = await client.request("GET", "/openapi.json")
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-cache", "no-referrer")
    assert document.headers["Cache-Control"] == "no-cache"
