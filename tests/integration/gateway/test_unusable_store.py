"""The gateway in front of a store whose responses cannot be parsed: what is asked of it ends as in an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.options import GatewayOptions
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.contents.deletion import Deletions
from pipeline.settings import Settings
from tests.contract.object_store.faulty_server import FaultyStore
from tests.contract.postgres.test_contents import new_record
from tests.integration.gateway.conftest import OPTIONS, Gateway

pytestmark = pytest.mark.integration

TOKEN = "secret"
MANIFEST = {"X-Static-Large-Object": "True", "Content-Length": "25", "ETag": "e"}


@pytest.fixture
async def broken() -> AsyncIterator[FaultyStore]:
    """Shows every object by HEAD, as a manifest; everything else is a page of a proxy."""

    async def respond(request: web.Request) -> web.StreamResponse:
        await request.read()
        if request.method == "HEAD":
            if request.match_info["name"].count("/") == 0:
                return web.Response(status=204)
            return web.Response(headers=MANIFEST)
        return web.Response(body=b"<html>Maintenance</html>", content_type="text/html")

    async with FaultyStore() as server:
        server.everything = respond
        yield server


@pytest.fixture
def settings(settings: Settings, broken: FaultyStore) -> Settings:
    return settings.model_copy(update={"swift_auth_url": broken.auth_url})


@pytest.fixture
def options() -> GatewayOptions:
    return replace(OPTIONS, events_token=SecretStr(TOKEN))


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def save(gateway: Gateway, count: int) -> list[str]:
    contents = gateway.services.contents
    assert isinstance(contents, PostgresContentRepository)
    return [(await contents.save(new_record())).id for _ in range(count)]


async def pending(gateway: Gateway) -> Mapping[str, dict[str, object]]:
    listed = (await gateway.client.request("GET", "/v1/leftovers?limit=100")).data["items"]
    return {item["content_id"]: item for item in listed}


async def test_delete_records_the_attempt_and_its_error(gateway: Gateway) -> None:
    [content_id] = await save(gateway, 1)
    response = await gateway.client.request("DELETE", f"/v1/contents/{content_id}")
    assert (response.status, response.data) == (200, {"id": content_id, "leftover": True})
    assert (await gateway.client.request("GET", f"/v1/contents/{content_id}")).status == 404
    left = (await pending(gateway))[content_id]
    assert left["attempts"] == 1
    assert left["error_code"] == "STORE_UNAVAILABLE"
    assert left["error"]


async def test_a_sweep_tries_every_pending_deletion(gateway: Gateway, database: asyncpg.Connection) -> None:
    ids = await save(gateway, 5)
    await asyncio.gather(*(gateway.client.request("DELETE", f"/v1/contents/{content_id}") for content_id in ids))
    await database.execute("UPDATE leftovers SET due_at = now() WHERE content_id = ANY($1::uuid[])", ids)
    contents = gateway.services.contents
    assert isinstance(contents, PostgresContentRepository)
    deletions = gateway.services.deletions
    swept = Deletions(PostgresDeletionRepository(contents.pool), deletions._stores, None)
    assert await swept.sweep() >= 5
    left = await pending(gateway)
    assert {left[content_id]["attempts"] for content_id in ids} == {2}
    assert {left[content_id]["error_code"] for content_id in ids} == {"STORE_UNAVAILABLE"}


async def test_a_download_is_an_error_of_the_store(gateway: Gateway) -> None:
    [content_id] = await save(gateway, 1)
    response = await gateway.client.request(
        "GET", f"/v1/contents/{content_id}/download?via=gateway", headers={"Range": "bytes=5-9"}
    )
    assert (response.status, response.code) == (502, "STORE_REJECTED")


async def test_one_object_of_a_notification_does_not_keep_the_others_from_being_imported(
    gateway: Gateway, broken: FaultyStore
) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/bad"):
            return web.Response(headers={"Content-Length": "0"})  # no ETag
        return web.Response(headers={"Content-Length": "25", "ETag": f"e-{request.path[-1]}"})

    broken.everything = respond
    records = [
        {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "sluice"}, "object": {"key": key}},
        }
        for key in ("a", "bad", "c")
    ]
    response = await gateway.client.request(
        "POST", "/v1/events/storage", json={"Records": records}, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert (response.status, response.code) == (503, "STORE_UNAVAILABLE")
    uploads = (await gateway.client.request("GET", "/v1/uploads?limit=100")).data["items"]
    assert sorted(upload["filename"] for upload in uploads) == ["a", "c"]
