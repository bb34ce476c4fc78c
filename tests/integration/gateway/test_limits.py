"""Limits of owners and of the queue on a running gateway: what is refused, with which fields, and what is not."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.app import ALL_ROUTES, build_app
from gateway.keys import DOCUMENT
from gateway.server import listening
from pipeline.access.key_ring import new_key
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.migrate import migrate
from pipeline.bootstrap import GatewayServices, gateway_services, open_store
from pipeline.core.access import Scope
from pipeline.settings import Settings
from tests.contract.redis.uploads import until
from tests.integration.gateway.conftest import OPTIONS, Gateway
from tests.integration.gateway.truth import Response, TruthfulClient

pytestmark = pytest.mark.integration

NOTIFIER = "a-shared-secret"
POLICY_ITEM = re.compile(r'"([a-z]+)";q=(\d+);w=(\d+)')
LEVEL_ITEM = re.compile(r'"([a-z]+)";r=(\d+);t=(\d+)')


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway with authentication; `keys`: of each owner, with every scope."""

    client: TruthfulClient
    services: GatewayServices
    settings: Settings
    keys: dict[str, str]

    async def ask(self, method: str, path: str, owner: str | None = "ann", **options: Any) -> Response:
        headers = options.pop("headers", {})
        if owner is not None:
            headers = {"Authorization": f"Bearer {self.keys.get(owner, owner)}", **headers}
        return await self.client.request(method, path, headers=headers, **options)

    async def create(self, owner: str = "ann", headers: dict[str, str] | None = None, **more: Any) -> Response:
        body = {"filename": "a.mp4", "size": 100_000, "content_type": "video/mp4", **more}
        return await self.ask("POST", "/v1/uploads", owner, json=body, headers=headers or {})


Serve = Callable[..., Awaitable[Site]]


@asynccontextmanager
async def _served(settings: Settings, path: Path, more: dict[str, Any]) -> AsyncIterator[Site]:
    base = {"auth": "required", "signing_secret": (SecretStr("s" * 32),), "store": "filesystem"}
    settings = settings.model_copy(update={**base, "filesystem_dir": path / "store", **more})
    options = replace(
        OPTIONS,
        events_token=SecretStr(NOTIFIER),
        owner_requests_per_second=settings.owner_requests_per_second,
        owner_creations_per_second=settings.owner_creations_per_second,
    )
    async with gateway_services(settings) as services:
        repository = PostgresApiKeys(services.contents.pool)  # type: ignore[attr-defined]  # the real one has a pool
        keys = {}
        for owner in ("ann", "bob", "expired"):
            key_id, keys[owner], digest = new_key()
            until = datetime.now(UTC) - timedelta(seconds=1) if owner == "expired" else None
            await repository.add(key_id, owner, frozenset(Scope), "", digest, until)
        app = build_app(services, options)
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, app[DOCUMENT])
            yield Site(client, services, settings, keys)


@pytest.fixture
async def serve(settings: Settings, tmp_path: Path) -> AsyncIterator[Serve]:
    """Serves with these settings."""
    await migrate(settings.database_url.get_secret_value())
    async with AsyncExitStack() as stack:

        async def start(**more: Any) -> Site:
            return await stack.enter_async_context(_served(settings, tmp_path, more))

        yield start


def policies(response: Response) -> dict[str, tuple[int, int]]:
    return {name: (int(q), int(w)) for name, q, w in POLICY_ITEM.findall(response.headers["RateLimit-Policy"])}


def levels(response: Response) -> dict[str, tuple[int, int]]:
    return {name: (int(r), int(t)) for name, r, t in LEVEL_ITEM.findall(response.headers["RateLimit"])}


# -- requests


async def test_requests_of_an_owner_come_from_a_bucket(serve: Serve) -> None:
    site = await serve(owner_requests_per_second=0.1)
    first = await site.ask("GET", "/v1/uploads")
    assert (first.status, policies(first)) == (200, {"requests": (1, 10)})
    assert levels(first) == {"requests": (0, 10)}
    refused = await site.ask("GET", "/v1/uploads")
    assert (refused.status, refused.code, refused.detail["what"]) == (429, "RATE_LIMITED", "requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert levels(refused) == {"requests": (0, int(refused.headers["Retry-After"]))}
    assert (await site.ask("GET", "/v1/uploads", "bob")).status == 200

    async def is_served() -> bool:
        return (await site.ask("GET", "/v1/uploads")).status == 200

    await until(is_served)


async def test_every_route_of_an_owner_is_limited_and_no_other(serve: Serve) -> None:
    site = await serve(owner_requests_per_second=0.001)
    await site.ask("GET", "/v1/uploads")
    for route in ALL_ROUTES:
        names = {"id": uuid.uuid4(), "webhook": uuid.uuid4(), "number": 1, "name": "base.css", "stage": "transfer"}
        path = route.path.format(**names)
        response = await site.ask(route.method, path, json={} if route.body else None)
        assert (response.status >= 400 and response.code == "RATE_LIMITED") is not route.access.anyone, path
        assert ("RateLimit" in response.headers) is not route.access.anyone, path


async def test_fields_are_on_errors_too_and_creations_name_their_policy(serve: Serve) -> None:
    site = await serve()
    created = await site.create()
    assert (created.status, policies(created)) == (201, {"requests": (1000, 2), "creations": (200, 4)})
    missing = await site.ask("GET", f"/v1/uploads/{uuid.uuid4()}")
    assert (missing.status, policies(missing)) == (404, {"requests": (1000, 2)})
    assert levels(missing)["requests"][0] in (998, 999)


async def test_pages_of_other_origins_can_read_the_fields(serve: Serve) -> None:
    site = await serve()
    response = await site.ask("GET", "/v1/uploads", headers={"Origin": "http://page.example"})
    assert {"RateLimit", "RateLimit-Policy"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))


# -- creations


async def test_creations_of_an_owner_come_from_a_bucket_that_gateways_share(serve: Serve) -> None:
    site, second = await serve(owner_creations_per_second=0.05), await serve(owner_creations_per_second=0.05)
    second.keys["ann"] = site.keys["ann"]
    assert (await site.create()).status == 201
    refused = await second.create()
    assert (refused.status, refused.code, refused.detail["what"]) == (429, "RATE_LIMITED", "creations")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert levels(refused)["creations"] == (0, int(refused.headers["Retry-After"]))
    assert (await site.create("bob")).status == 201


async def test_imports_are_limited_also_where_nothing_is_created(serve: Serve) -> None:
    site = await serve(owner_creations_per_second=0.05)
    wanted = {"key": "raw/nothing.mp4"}
    assert (await site.ask("POST", "/v1/contents/import", json=wanted)).code != "RATE_LIMITED"
    refused = await site.ask("POST", "/v1/contents/import", json=wanted)
    assert (refused.status, refused.code, refused.detail["what"]) == (429, "RATE_LIMITED", "imports")


async def test_permits_are_limited(serve: Serve) -> None:
    site = await serve(owner_creations_per_second=0.05)
    assert (await site.ask("POST", "/v1/permits", json={})).status == 201
    refused = await site.ask("POST", "/v1/permits", json={})
    assert (refused.status, refused.code, refused.detail["what"]) == (429, "RATE_LIMITED", "permits")
    assert (await site.ask("POST", "/v1/permits", "bob", json={})).status == 201


async def test_uploads_of_a_permit_count_for_its_owner(serve: Serve) -> None:
    site = await serve(owner_waiting=1, temp_budget_bytes=200_000)
    permit = (await site.ask("POST", "/v1/permits", json={"count": 9})).data["token"]
    statuses = [(await site.create(permit, size=150_000)).data["status"] for _ in range(2)]
    assert statuses == ["admitted", "waiting"]
    for owner in (permit, "ann"):
        refused = await site.create(owner)
        assert (refused.code, refused.detail["limit"], refused.detail["value"]) == ("OWNER_LIMIT", "waiting", 1)
        assert int(refused.headers["Retry-After"]) > 0
    assert (await site.create("bob")).status == 201


async def test_a_known_key_is_answered_at_every_limit(serve: Serve) -> None:
    site = await serve(owner_creations_per_second=0.0001, queue_uploads=1, owner_bytes=100_000)
    first = await site.create(headers={"Idempotency-Key": "k"})
    again = await site.create(headers={"Idempotency-Key": "k"})
    assert (first.status, again.status, again.data["id"]) == (201, 200, first.data["id"])
    assert (await site.create(headers={"Idempotency-Key": "l"})).status == 429


async def test_a_file_above_the_limits_is_refused_for_good(serve: Serve) -> None:
    site = await serve(owner_bytes=99_999)
    refused = await site.create()
    assert (refused.status, refused.code, refused.detail["value"]) == (413, "FILE_TOO_LARGE_FOR_OWNER", 99_999)
    assert "Retry-After" not in refused.headers


async def test_what_ends_early_is_given_back_on_the_same_day(serve: Serve) -> None:
    site = await serve(owner_bytes_per_day=150_000)
    first = await site.create()
    refused = await site.create()
    midnight = 86_400 - datetime.now(UTC).timestamp() % 86_400
    assert refused.code == "DAILY_LIMIT"
    assert abs(int(refused.headers["Retry-After"]) - midnight) < 60
    await site.ask("DELETE", f"/v1/uploads/{first.data['id']}")
    assert (await site.create()).status == 201


async def test_imports_and_notifications_keep_the_limits_of_their_owner(serve: Serve) -> None:
    """A notification that meets a limit is an error, so that the store sends it again."""
    site = await serve(owner_uploads=1, import_owner="bob")
    async with open_store(site.settings) as store:
        for number in range(3):
            await store.put_object(f"raw/{number}.mp4", bytes([number]), "video/mp4")

    def notify(number: int) -> Awaitable[Response]:
        record = {"bucket": {"name": site.services.importer.default_bucket}, "object": {"key": f"raw/{number}.mp4"}}
        return site.ask(
            "POST",
            "/v1/events/storage",
            None,
            headers={"Authorization": f"Bearer {NOTIFIER}"},
            json={"Records": [{"eventName": "ObjectCreated:Put", "s3": record}]},
        )

    def take(number: int, **more: Any) -> Awaitable[Response]:
        return site.ask("POST", "/v1/contents/import", json={"key": f"raw/{number}.mp4", **more})

    assert (await take(0)).status == 201
    refused = await take(1)
    assert (refused.status, refused.code, refused.detail["limit"]) == (429, "OWNER_LIMIT", "in_flight")
    again = await notify(1)
    assert (again.status, again.code) == (429, "OWNER_LIMIT")
    assert int(again.headers["Retry-After"]) > 0
    assert (await take(0)).status == 200, "a known import is answered"
    assert (await take(1, owner="ann")).status == 201


# -- without authentication


async def test_without_authentication_only_the_queue_is_bounded(gateway: Gateway) -> None:
    strict = gateway.settings.model_copy(
        update={"queue_uploads": 2, "owner_waiting": 1, "owner_bytes": 1, "owner_creations_per_second": 0.001}
    )
    async with gateway_services(strict) as services:
        app = build_app(services, OPTIONS)
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, app[DOCUMENT])

            async def create() -> Response:
                body = {"filename": "a.mp4", "size": 900_000, "content_type": "video/mp4"}
                return await client.request("POST", "/v1/uploads", json=body)

            assert [(await create()).data["status"] for _ in range(3)] == ["admitted", "waiting", "waiting"]
            refused = await create()
            assert (refused.status, refused.code, refused.detail["value"]) == (429, "QUEUE_FULL", 2)
            assert int(refused.headers["Retry-After"]) > 0
            assert "RateLimit" not in refused.headers


# -- strangers


async def test_a_stranger_is_slowed_down_and_those_who_share_the_address_are_not(serve: Serve) -> None:
    site = await serve()
    with capture_logs() as lines:
        began, limited = time.monotonic(), list[Response]()
        for kind in (None, "nonsense", new_key()[1], "a.b.c"):
            responses = await asyncio.gather(*(site.ask("GET", "/v1/uploads", kind) for _ in range(150)))
            assert {response.status for response in responses} <= {401, 429}
            limited += [response for response in responses if response.status == 429]
        refused = limited[-1]  # the limit is reached sooner or later, and a request that comes late finds room again
        assert (refused.code, refused.headers["Retry-After"]) == ("RATE_LIMITED", "1")
        assert "RateLimit" not in refused.headers
        expired = await site.ask("GET", "/v1/uploads", "expired")
        assert (expired.status, expired.code) == (401, "CREDENTIAL_EXPIRED")
        assert (await site.ask("GET", "/v1/uploads")).status == 200
        unknown = [(await site.client.request("GET", f"/wp-admin/{number}.php")).status for number in range(300)]
        assert set(unknown) == {404}
        most = 200 + 10 * (time.monotonic() - began)
    refusals = [line for line in lines if line.get("status") in (401, 404, 429) and line["log_level"] == "info"]
    assert 0 < len(refusals) <= most, "900 requests of strangers are not 900 lines"
