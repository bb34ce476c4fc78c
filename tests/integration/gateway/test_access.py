"""Every route against every caller, on a running gateway: the table of docs/access.md, request by request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.access_table import CALLERS, OTHER, OWNER, YES, verdict
from gateway.access import STORE
from gateway.app import ALL_ROUTES
from gateway.routing import Route
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, OPTIONS) as running:
        yield running


def outcome(response: Response, route: Route) -> str:
    """As in the table: `yes` for everything that is not about the caller."""
    if response.status in (401, 403):
        return str(response.status)
    missing = {"/v1/contents/{id}": "CONTENT_NOT_FOUND", "/v1/webhooks/{webhook}": "WEBHOOK_NOT_FOUND"}
    missing |= dict.fromkeys(("/v1/uploads/{id}", "/files/{id}", "/s3/multipart/{id}"), "UPLOAD_NOT_FOUND")
    for path, code in missing.items():
        if route.path.startswith(path) and response.status == 404 and response.code == code:
            return "404"
    return YES


_ROUTES = [route for route in ALL_ROUTES if route.access is not STORE]


@pytest.mark.parametrize("route", _ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_caller(site: Site, route: Route) -> None:
    found: dict[str, str] = {}
    for column in CALLERS:
        this, another = await site.new_upload(), await site.new_upload()
        if route.path.startswith("/v1/contents/{id}"):
            await site.new_content(this)
        equipped = await site.with_tokens(this, another)
        if column == "permit of this upload":
            this = await equipped.new_upload(column)
        path = route.path.replace("{id}", this).replace("{number}", "1").replace("{stage}", "transfer")
        path = path.replace("{name}", "sluice-client.js")
        if "{webhook}" in path:
            path = path.replace("{webhook}", await site.new_webhook())
        options: dict[str, Any] = {"json": {}} if route.body is not None else {}
        if route.streaming:
            await equipped.as_("key of the owner", "DELETE", f"/v1/uploads/{this}")  # so that the stream ends
        found[column] = outcome(await equipped.as_(column, route.method, path, **options), route)
    assert found == {column: verdict(route, caller) for column, caller in CALLERS.items()}


async def test_what_belongs_to_others_looks_like_what_does_not_exist(site: Site) -> None:
    this = await site.new_upload()
    await site.new_content(this)
    never = this[:-4] + ("0000" if this[-4:] != "0000" else "1111")
    for path in ("/v1/uploads/{}", "/v1/uploads/{}/events", "/v1/contents/{}", "/v1/contents/{}/download"):
        bodies = []
        for name in (this, never):
            response = await site.as_("key of another owner", "GET", path.format(name))
            bodies.append(
                response.body.replace(name.encode(), b"ID").replace(response.headers["X-Request-Id"].encode(), b"")
            )
        assert bodies[0] == bodies[1]


async def test_lists_show_the_owners_only(site: Site) -> None:
    mine = await site.new_upload()
    await site.new_content(mine)
    for path in ("/v1/uploads", "/v1/contents"):

        async def ids(column: str, query: str = "", path: str = path) -> set[str]:
            response = await site.as_(column, "GET", f"{path}?{query}")
            assert response.status == 200, response.body
            return {item["id"] for item in response.data["items"]}

        assert mine in await ids("key of the owner")
        assert mine in await ids("key of the owner", f"owner={OWNER}")
        assert mine in await ids("key with `operate` only")
        assert mine in await ids("key with `operate` only", f"owner={OWNER}")
        assert mine not in await ids("key with `operate` only", f"owner={OTHER}")
        assert mine not in await ids("key of another owner")
        assert not await ids("key of another owner", f"owner={OWNER}")
