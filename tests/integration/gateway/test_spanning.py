"""Lists and the overview span the cells; a cell that does not respond as it should is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deploy.embedded.ports import ReservedPort
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.settings import Settings
from pipeline.uploads.other_cells import OtherCells
from schemas.uploads import UploadPage
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.pair_of_cells import Pair, running_pair

pytestmark = pytest.mark.integration

OWNER, OTHER, OPERATOR = "key of the owner", "key of another owner", "key with `operate` only"
EMPTY: dict[str, Any] = {"success": True, "status": 200, "data": {"items": [], "next_cursor": None}}


@pytest.fixture
async def pair(settings: Settings, tmp_path: Path) -> AsyncIterator[Pair]:
    async with running_pair(settings, OPTIONS, tmp_path) as running:
        yield running


async def _new(pair: Pair, cell: int, column: str = OWNER) -> str:
    """A new upload of this cell."""
    body = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"}
    site = (pair.first, pair.second)[cell]
    response = await site.as_(column, "POST", f"/v1/uploads?cell={cell}", json=body)
    assert response.status == 201, response.body
    name: str = response.data["id"]
    return name


async def _all(pair: Pair, path: str, column: str) -> list[str]:
    """The ids of every page, each from the other gateway than the one before."""
    found: list[str] = []
    cursor = ""
    sites = [pair.first, pair.second]
    while True:
        response = await sites[0].as_(column, "GET", f"{path}limit=2{cursor}")
        assert response.status == 200, response.body
        assert response.data["unreachable_cells"] == []
        found += [item["id"] for item in response.data["items"]]
        if response.data["next_cursor"] is None:
            return found
        cursor = f"&cursor={response.data['next_cursor']}"
        sites.reverse()


async def test_lists_hold_the_uploads_of_both_cells_and_of_no_other_owner(pair: Pair) -> None:
    names = [await _new(pair, cell) for _ in range(3) for cell in (0, 1)]
    foreign = await _new(pair, 1, OTHER)
    assert await _all(pair, "/v1/uploads?", OWNER) == names[::-1]
    assert await _all(pair, "/v1/uploads?status=admitted&", OWNER) == names[::-1]
    assert await _all(pair, "/v1/uploads?", OPERATOR) == [foreign, *names[::-1]]
    assert await _all(pair, "/v1/status/uploads?", OPERATOR) == [foreign, *names[::-1]]
    assert await _all(pair, f"/v1/status/uploads?search={names[1]}&", OPERATOR) == [names[1]]
    response = await pair.first.as_(OPERATOR, "GET", f"/v1/status/uploads?search={names[1]}")
    assert response.data["next_cursor"] is None
    links = {item["id"]: item["links"]["self"] for item in response.data["items"]}
    assert links == {names[1]: f"{pair.urls[1]}/v1/uploads/{names[1]}"}
    denied = await pair.first.as_(OWNER, "GET", "/v1/status/uploads")
    assert denied.status == 403


async def test_a_cell_that_is_named_is_asked_alone(pair: Pair) -> None:
    names = [await _new(pair, cell) for cell in (0, 1)]
    for cell, site in enumerate((pair.first, pair.second)):
        response = await site.as_(OWNER, "GET", f"/v1/uploads?cell={cell}")
        assert [item["id"] for item in response.data["items"]] == [names[cell]]
        overview = await site.as_(OPERATOR, "GET", f"/v1/status?cell={cell}")
        assert {volume["cell"] for volume in overview.data["volumes"]} == {cell}
        refused = await site.as_(OWNER, "GET", f"/v1/uploads?cell={1 - cell}")
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
        assert f"cell {cell}" in str(refused.detail)


async def test_the_overview_holds_both_cells(pair: Pair) -> None:
    for cell in (0, 1):
        await _new(pair, cell)
    for site in (pair.first, pair.second):
        shown = (await site.as_(OPERATOR, "GET", "/v1/status")).data
        assert [(volume["cell"], volume["name"]) for volume in shown["volumes"]] == [(0, "volume-0"), (1, "volume-1")]
        assert {item["status"]: item["count"] for item in shown["statuses"]}["admitted"] == 2
        assert shown["unreachable_cells"] == []


async def test_a_stranger_causes_no_request_to_another_cell(settings: Settings, tmp_path: Path) -> None:
    asked: list[str] = []

    async def record(request: web.Request) -> web.StreamResponse:
        if request.path != "/readyz":  # which every gateway reads, for the room of the cell
            asked.append(request.headers.get("Authorization", ""))
            assert request.headers["X-Request-Id"]
        return web.json_response(EMPTY)

    async with _server(record) as url:
        cells = {"cells": ((0, "http://127.0.0.1:1"), (7, url))}
        async with running_pair(settings, OPTIONS, tmp_path, first=cells) as pair:
            for column in ("no key", "wrong key", "expired key"):
                assert (await pair.first.as_(column, "GET", "/v1/uploads")).status == 401
            assert (await pair.first.as_(OWNER, "GET", "/v1/status")).status == 403
            assert (await pair.first.as_(OWNER, "GET", "/v1/uploads?limit=0")).status == 422
            assert asked == []
            assert (await pair.first.as_(OWNER, "GET", "/v1/uploads")).data["unreachable_cells"] == []
            assert asked == [f"Bearer {pair.first.credentials[OWNER]}"]


@asynccontextmanager
async def _server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A server that responds to everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _redirects(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(f"{request.url.origin()}/elsewhere")


async def _floods(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b'{"success": true, ' + b" " * 1024 * 1024)


def _sends(body: Any, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def send(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return send


@pytest.mark.parametrize(
    "handler",
    [
        _redirects,
        _floods,
        _sends(EMPTY, 503),
        _sends({"success": False, "status": 400}, 400),  # of a release that does not know `cell`
        _sends({}),
        _sends({**EMPTY, "data": {"items": [{"id": "x"}], "next_cursor": None}}),
        _sends([]),
    ],
)
async def test_a_cell_that_does_not_respond_as_it_should_is_named(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> None:
    async with _server(handler) as bad, _server(_sends(EMPTY)) as good, HttpPlainClient() as client:
        cells = OtherCells(0, [(0, "http://127.0.0.1:1"), (2, good), (5, bad)], client)
        found = await cells.ask("/v1/uploads", {"limit": 50}, {}, UploadPage)
        assert found.unreachable == [5]
        assert list(found.found) == [2]


async def test_a_cell_without_a_server_is_named() -> None:
    port = ReservedPort()
    try:
        async with HttpPlainClient() as client:
            cells = OtherCells(1, [(0, f"http://127.0.0.1:{port.number}"), (1, "http://127.0.0.1:1")], client)
            found = await cells.ask("/v1/uploads", {}, {}, UploadPage)
            assert found.unreachable == [0]
    finally:
        port.release()


async def test_a_cell_that_hangs_is_left_alone_for_a_while() -> None:
    asked = 0
    now = 100.0

    async def hangs(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await _hangs(request)

    async with _server(hangs) as url, HttpPlainClient() as client:
        cells = OtherCells(0, [(0, "http://127.0.0.1:1"), (1, url)], client, limit_seconds=0.2, clock=lambda: now)
        for _ in range(3):
            assert (await cells.ask("/v1/uploads", {}, {}, UploadPage)).unreachable == [1]
        assert asked == 1
        now += 60
        assert (await cells.ask("/v1/uploads", {}, {}, UploadPage)).unreachable == [1]
        assert asked == 2


async def test_there_is_nothing_to_ask_where_there_is_one_cell() -> None:
    async with HttpPlainClient() as client:
        assert not OtherCells(0, (), client).exist
        assert not OtherCells(3, [(3, "http://127.0.0.1:1")], client).exist
