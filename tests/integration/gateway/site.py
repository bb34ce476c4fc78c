"""A gateway that requires authentication, with the credentials of every column of docs/access.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from deploy.access_table import OTHER, OWNER
from gateway.app import build_app
from gateway.keys import DOCUMENT
from gateway.options import GatewayOptions
from gateway.server import listening
from pipeline.access.key_ring import new_key
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.migrate import migrate
from pipeline.bootstrap import GatewayServices, gateway_services
from pipeline.core.access import Scope, TokenKind
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject, object_key
from pipeline.settings import Settings
from tests.contract.postgres.test_contents import media
from tests.integration.gateway.truth import Response, TruthfulClient

BOTH = frozenset({Scope.UPLOAD, Scope.READ})


@dataclass(frozen=True, slots=True)
class Site:
    """A running gateway, and what each caller shows it."""

    client: TruthfulClient
    services: GatewayServices
    keys: PostgresApiKeys
    credentials: Mapping[str, str | None]

    async def key(self, owner: str, *scopes: Scope, expired: bool = False) -> str:
        """A new key."""
        key_id, text, digest = new_key()
        until = datetime.now(UTC) - timedelta(seconds=1) if expired else None
        await self.keys.add(key_id, owner, frozenset(scopes), "", digest, until)
        return text

    async def new_upload(self, column: str = "key of the owner", **more: Any) -> str:
        body = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4", **more}
        response = await self.as_(column, "POST", "/v1/uploads", json=body)
        assert response.status == 201, response.body
        name: str = response.data["id"]
        return name

    async def new_content(self, name: str, owner: str = OWNER) -> None:
        stored = StoredObject("swift", "sluice", object_key(name), 25, "etag")
        await self.services.contents.save(ContentRecord(name, "a.mp4", "video/mp4", stored, None, media(), {}, owner))

    async def new_webhook(self, column: str = "key of the owner", **more: Any) -> str:
        """Its id."""
        body = {"url": "https://backend.example.com/sluice", **more}
        response = await self.as_(column, "POST", "/v1/webhooks", json=body)
        assert response.status == 201, response.body
        name: str = response.data["webhook"]["id"]
        return name

    async def as_(self, column: str, method: str, path: str, **options: Any) -> Response:
        """Send a request as this caller of the table."""
        credential = self.credentials[column]
        if column in ("ticket", "link"):
            return await self.client.request(method, f"{path}?token={credential}", **options)
        return await self.with_(credential, method, path, **options)

    async def with_(self, credential: str | None, method: str, path: str, **options: Any) -> Response:
        """Send a request with this key or token."""
        if credential is not None:
            options["headers"] = {**options.get("headers", {}), "Authorization": f"Bearer {credential}"}
        return await self.client.request(method, path, **options)

    async def with_tokens(self, this: str, another: str) -> Site:
        """The same, with tokens for these uploads."""
        authenticator = self.services.authenticator
        owner = await authenticator.bearer(self.credentials["key of the owner"] or "")

        def issue(kind: TokenKind, name: str) -> str:
            return authenticator.issue(kind, owner, OWNER, name, 60).token

        permits = [await self.as_("key of the owner", "POST", "/v1/permits", json={"count": 100}) for _ in range(2)]
        tokens = {
            "token of this upload": issue(TokenKind.UPLOAD, this),
            "token of another upload": issue(TokenKind.UPLOAD, another),
            "permit of this upload": permits[0].data["token"],
            "another permit": permits[1].data["token"],
            "ticket": issue(TokenKind.TICKET, this),
            "link": issue(TokenKind.LINK, this),
        }
        return replace(self, credentials={**self.credentials, **tokens})


@asynccontextmanager
async def running_site(settings: Settings, options: GatewayOptions, port: int = 0) -> AsyncIterator[Site]:
    secret = type(settings.events_token)("s" * 32)
    settings = settings.model_copy(update={"auth": "required", "signing_secret": (secret,)})
    await migrate(settings.database_url.get_secret_value())
    async with gateway_services(settings) as services:
        app = build_app(services, options)
        async with listening(app, "127.0.0.1", port) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, app[DOCUMENT])
            keys = PostgresApiKeys(services.contents.pool)  # type: ignore[attr-defined]  # the real repository has one
            site = Site(client, services, keys, {})
            credentials = {
                "no key": None,
                "wrong key": new_key()[1],
                "expired key": await site.key(OWNER, *BOTH, expired=True),
                "key of another owner": await site.key(OTHER, *BOTH),
                "key of the owner": await site.key(OWNER, *BOTH),
                "key with `read` only": await site.key(OWNER, Scope.READ),
                "key with `operate` only": await site.key(OTHER, Scope.OPERATE),
            }
            yield replace(site, credentials=credentials)
