"""Every route with every dependency at fault, by real servers that are unavailable or have lost their data.

The client compares each response with /openapi.json. So a code that a route sends and does not document fails here.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from gateway.app import ALL_ROUTES, build_app
from gateway.http.state import RUNNING
from gateway.keys import DOCUMENT
from gateway.options import GatewayOptions
from gateway.server import listening
from pipeline.adapters.redis.keys import Keys
from pipeline.bootstrap import gateway_services
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, Gateway
from tests.integration.gateway.test_contents import keep
from tests.integration.gateway.truth import TruthfulClient

pytestmark = pytest.mark.integration

TOKEN = "a-shared-secret"
NOWHERE = "0198c1f2-0000-7000-8000-000000000000"
UPLOAD = {"filename": "a.mp4", "size": 70_000, "content_type": "video/mp4"}
NOTIFICATION = {
    "Records": [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "sluice"}, "object": {"key": "raw/a.mp4"}}}
    ]
}


@pytest.fixture
def options() -> GatewayOptions:
    return replace(OPTIONS, events_token=SecretStr(TOKEN))


def requests(upload: str, content: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A request to every route, with these ids in its path; the deletions last."""
    bodies: dict[tuple[str, str], list[Any]] = {
        ("POST", "/v1/uploads"): [UPLOAD, {**UPLOAD, "transport": "direct"}, {**UPLOAD, "transport": "token"}],
        ("POST", "/v1/contents/import"): [{"key": "raw/a.mp4"}],
        ("POST", "/v1/events/storage"): [NOTIFICATION],
        ("POST", "/v1/uploads/{id}/grants"): [{"segments": [[1, 1]]}],
    }
    for route in sorted(ALL_ROUTES, key=lambda route: route.method == "DELETE"):
        name = content if "/contents/" in route.path else upload
        path = route.path.replace("{id}", name).replace("{number}", "1").replace("{stage}", "transfer")
        path = path.replace("{name}", "base.css").replace("{webhook}", NOWHERE)
        if route.raw_body:
            yield route.method, path, {"data": bytes(65_536)}
        elif (route.method, route.path) in bodies:
            for body in bodies[route.method, route.path]:
                yield route.method, path, {"json": body, "headers": {"Authorization": f"Bearer {TOKEN}"}}
        elif not path.endswith("/events"):
            yield route.method, path, {}
        else:
            yield "HEAD", path, {}


async def ask_every_route(client: TruthfulClient, upload: str, content: str) -> dict[str, set[str]]:
    """The error codes of all routes: code -> paths."""
    seen: dict[str, set[str]] = {}
    for method, path, sent in requests(upload, content):
        response = await client.request(method, path, allow_redirects=False, **sent)
        if response.status >= 400 and method != "HEAD":
            seen.setdefault(response.code, set()).add(f"{method} {path}")
    return seen


@asynccontextmanager
async def another(settings: Settings, options: GatewayOptions) -> AsyncIterator[TruthfulClient]:
    """A gateway with other settings."""
    async with gateway_services(settings) as services:
        app = build_app(services, options)
        document: dict[str, Any] = app[DOCUMENT]
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            yield TruthfulClient(session, served.url, document)


@pytest.mark.parametrize("known", [True, False])
async def test_everything_but_the_store_works(gateway: Gateway, known: bool) -> None:
    upload = (await gateway.create())["id"] if known else NOWHERE
    seen = await ask_every_route(gateway.client, upload, await keep(gateway) if known else NOWHERE)
    assert {"STORE_UNAVAILABLE", "TRANSPORT_NOT_OFFERED"} <= set(seen)
    assert ("UPLOAD_NOT_FOUND" in seen, "CONTENT_NOT_FOUND" in seen) == (not known, not known)


async def test_redis_is_unavailable(gateway: Gateway, settings: Settings, options: GatewayOptions) -> None:
    upload, content = (await gateway.create())["id"], await keep(gateway)
    broken = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    async with another(broken, options) as client:
        seen = await ask_every_route(client, upload, content)
    assert {path.split("?")[0] for path in seen["REDIS_UNAVAILABLE"]} >= {
        "POST /v1/uploads",
        "GET /v1/uploads",
        f"GET /v1/uploads/{upload}",
        f"DELETE /v1/uploads/{upload}",
        f"PUT /v1/uploads/{upload}/segments/1",
        f"POST /v1/uploads/{upload}/grants",
        f"POST /v1/uploads/{upload}/complete",
        f"POST /v1/uploads/{upload}/tickets",
    }


async def test_the_database_is_unavailable(gateway: Gateway, settings: Settings, options: GatewayOptions) -> None:
    content = await keep(gateway)
    broken = settings.model_copy(update={"database_url": SecretStr("postgresql://sluice@127.0.0.1:9/sluice")})
    async with another(broken, options) as client:
        seen = await ask_every_route(client, NOWHERE, content)
    assert seen["DATABASE_UNAVAILABLE"] >= {
        "GET /v1/contents",
        "GET /v1/leftovers",
        "GET /v1/webhooks",
        f"GET /v1/webhooks/{NOWHERE}",
        f"DELETE /v1/webhooks/{NOWHERE}",
        f"POST /v1/webhooks/{NOWHERE}/test",
        f"GET /v1/webhooks/{NOWHERE}/deliveries",
        f"GET /v1/contents/{content}",
        f"DELETE /v1/contents/{content}",
        f"GET /v1/contents/{content}/download",
        f"GET /v1/contents/{content}/segments",
        f"GET /v1/contents/{content}/segments/1",
        f"GET /v1/contents/{content}/thumbnail",
    }


async def test_redis_has_lost_everything(gateway: Gateway, settings: Settings, redis_url: str) -> None:
    upload = (await gateway.create())["id"]
    redis = Redis.from_url(redis_url)
    keys = [key async for key in redis.scan_iter(f"{Keys(settings.redis_namespace).prefix}*")]
    await redis.delete(*keys)
    await redis.aclose()
    seen = await ask_every_route(gateway.client, upload, NOWHERE)
    assert "POST /v1/uploads" in seen["VOLUME_RECOVERING"]
    assert seen["UPLOAD_RECOVERING"] == {
        f"GET /v1/uploads/{upload}",
        f"DELETE /v1/uploads/{upload}",
        f"PUT /v1/uploads/{upload}/segments/1",
        f"POST /v1/uploads/{upload}/grants",
        f"POST /v1/uploads/{upload}/complete",
        f"POST /v1/uploads/{upload}/tickets",
        f"GET /v1/uploads/{upload}/thumbnail",
        f"GET /files/{upload}",
        f"DELETE /files/{upload}",
        f"GET /s3/multipart/{upload}",
        f"GET /s3/multipart/{upload}/1",
        f"DELETE /s3/multipart/{upload}",
        f"GET /v1/status/uploads/{upload}",
        f"POST /v1/status/uploads/{upload}/stages/transfer/retry",
    }


@pytest.mark.parametrize("known", [True, False])
async def test_the_temp_volume_is_gone(gateway: Gateway, settings: Settings, known: bool) -> None:
    upload = (await gateway.create())["id"] if known else NOWHERE
    await asyncio.to_thread(shutil.rmtree, settings.temp_dir)
    settings.temp_dir.write_text("a file where the directory was")
    seen = await ask_every_route(gateway.client, upload, NOWHERE)
    settings.temp_dir.unlink()
    expected = {f"DELETE /v1/uploads/{upload}", f"PUT /v1/uploads/{upload}/segments/1"}
    if not known:  # its journal would say whether Redis has lost it
        expected |= {f"GET /v1/uploads/{upload}", f"POST /v1/uploads/{upload}/grants"}
    assert seen["TEMP_VOLUME_FAILED"] >= expected


async def test_the_gateway_shuts_down(gateway: Gateway) -> None:
    gateway.app[RUNNING].stopping.set()
    document: dict[str, Any] = gateway.app[DOCUMENT]
    busy: set[str] = set()
    for method, path, sent in requests(NOWHERE, NOWHERE):
        async with aiohttp.ClientSession() as session:  # each connection is closed after its response
            client = TruthfulClient(session, gateway.url, document)
            response = await client.request(method, path, **sent)
            if response.status == 503 and method != "HEAD" and response.code == "GATEWAY_BUSY":
                busy.add(f"{method} {path}")
    names = {
        NOWHERE: "{id}",
        "multipart/{id}/1": "multipart/{id}/{number}",
        "segments/1": "segments/{number}",
        "stages/transfer": "stages/{stage}",
    }
    found = set()
    for path in (path.partition(" ")[2] for path in busy):
        for sent_as, name in names.items():
            path = path.replace(sent_as, name)
        found.add(path)
    assert {route.path for route in ALL_ROUTES if route.new_work} == found - {"/readyz"}
