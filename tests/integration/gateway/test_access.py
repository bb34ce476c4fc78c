"""Every route against every caller, on a running gateway: the table of docs/access.md, request by request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from deploy.access_table import CALLERS, OTHER, OWNER, YES, verdict
from gateway.access import STORE
from gateway.app import ALL_ROUTES, build_app
from gateway.keys import DOCUMENT
from gateway.routing import Route
from gateway.server import listening
from pipeline.access.key_ring import new_key
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.migrate import migrate
from pipeline.bootstrap import GatewayServices, gateway_services
from pipeline.core.access import Scope, TokenKind
from pipeline.core.model import ContentRecord, StoredObject, object_key
from pipeline.settings import Settings
from tests.contract.postgres.test_contents import media
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.truth import Response, TruthfulClient

pytestmark = pytest.mark.integration

BOTH = frozenset({Scope.UPLOAD, Scope.READ})


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway that requires authentication, and the credentials of every column of the table."""

    client: TruthfulClient
    services: GatewayServices
    credentials: Mapping[str, str | None]

    async def new_upload(self) -> str:
        body = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"}
        response = await self.as_("key of the owner", "POST", "/v1/uploads", json=body)
        assert response.status == 201, response.body
        name: str = response.data["id"]
        return name

    async def new_content(self, name: str, owner: str = OWNER) -> None:
        stored = StoredObject("swift", "sluice", object_key(name), 25, "etag")
        await self.services.contents.save(ContentRecord(name, "a.mp4", "video/mp4", stored, None, media(), {}, owner))

    async def as_(self, column: str, method: str, path: str, **options: Any) -> Response:
        """Send a request as this caller."""
        credential = self.credentials[column]
        if column in ("ticket", "link"):
            path += f"?token={credential}"
        elif credential is not None:
            options["headers"] = {**options.get("headers", {}), "Authorization": f"Bearer {credential}"}
        return await self.client.request(method, path, **options)


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    secret = type(settings.events_token)("s" * 32)
    settings = settings.model_copy(update={"auth": "required", "signing_secret": (secret,)})
    await migrate(settings.database_url.get_secret_value())
    async with gateway_services(settings) as services:
        keys = PostgresApiKeys(services.contents.pool)  # type: ignore[attr-defined]  # the real repository has one

        async def key(owner: str, *scopes: Scope, expired: bool = False) -> str:
            key_id, text, digest = new_key()
            until = datetime.now(UTC) - timedelta(seconds=1) if expired else None
            await keys.add(key_id, owner, frozenset(scopes), "", digest, until)
            return text

        credentials: dict[str, str | None] = {
            "no key": None,
            "wrong key": new_key()[1],
            "expired key": await key(OWNER, *BOTH, expired=True),
            "key of another owner": await key(OTHER, *BOTH),
            "key of the owner": await key(OWNER, *BOTH),
            "key with `read` only": await key(OWNER, Scope.READ),
            "key with `operate` only": await key(OTHER, Scope.OPERATE),
        }
        app = build_app(services, OPTIONS)
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, json.loads(json.dumps(app[DOCUMENT])))
            yield Site(client, services, credentials)


async def with_tokens(site: Site, this: str, another: str) -> Site:
    """The site with tokens for these uploads."""
    issue = site.services.authenticator.issue
    owner = await site.as_("key of the owner", "POST", "/v1/permits", json={"count": 100})
    tokens = {
        "token of this upload": issue(TokenKind.UPLOAD, OWNER, this, 60).token,
        "token of another upload": issue(TokenKind.UPLOAD, OWNER, another, 60).token,
        "permit": owner.data["token"],
        "ticket": issue(TokenKind.TICKET, OWNER, this, 60).token,
        "link": issue(TokenKind.LINK, OWNER, this, 60).token,
    }
    return Site(site.client, site.services, {**site.credentials, **tokens})


def outcome(response: Response, route: Route) -> str:
    """As in the table: `yes` for everything that is not about the caller."""
    if response.status in (401, 403):
        return str(response.status)
    missing = {"/v1/uploads/{id}": "UPLOAD_NOT_FOUND", "/v1/contents/{id}": "CONTENT_NOT_FOUND"}
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
        equipped = await with_tokens(site, this, another)
        path = route.path.replace("{id}", this).replace("{number}", "1")
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
