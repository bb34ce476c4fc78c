"""Many event streams: how many there may be, what they cost, and how long a key or token keeps one open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp
import pytest

from gateway.api.streams import UPLOAD_READS
from gateway.app import build_app
from gateway.keys import DOCUMENT
from gateway.options import GatewayOptions
from gateway.server import listening
from pipeline.access.authenticator import Authenticator
from pipeline.access.key_ring import new_key
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.migrate import migrate
from pipeline.bootstrap import gateway_services
from pipeline.core.access import Scope, TokenKind
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import following
from tests.integration.gateway.test_events import stream_events
from tests.integration.gateway.truth import TruthfulClient
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration

LIMIT = 3


@pytest.fixture
def options() -> GatewayOptions:
    return replace(OPTIONS, owner_streams=LIMIT, streams=LIMIT + 1)


async def test_streams_of_an_owner_are_limited(gateway: Gateway) -> None:
    upload = await gateway.create()
    path = f"/v1/uploads/{upload['id']}/events"
    async with AsyncExitStack() as stack:
        for _ in range(LIMIT):
            wire = await stack.enter_async_context(connect(gateway.url))
            await wire.begin("GET", path, {})
            assert (await wire.head()).status == 200
        refused = await gateway.client.request("GET", path)
        assert (refused.status, refused.code) == (429, "STREAM_LIMIT")
        assert refused.headers["Retry-After"] == "5"
        assert refused.detail["limit"] == LIMIT
    await following(0)
    async with gateway.client.session.get(upload["links"]["events"]) as response:
        assert response.status == 200


async def test_a_change_is_read_once_for_all_its_streams(gateway: Gateway) -> None:
    upload = await gateway.create()
    reads = gateway.app[UPLOAD_READS]
    shown = await asyncio.gather(*(reads.latest(upload["id"]) for _ in range(500)))
    assert len(set(map(id, shown))) <= 2
    first = asyncio.create_task(reads.latest(upload["id"]))
    await asyncio.sleep(0)
    await gateway.client.request("PUT", upload["links"]["segment"].replace("{number}", "1"), data=bytes(SEGMENT_BYTES))
    latest = await asyncio.gather(*(reads.latest(upload["id"]) for _ in range(100)))
    assert {str(one.detail.upload.status) for one in latest} == {"receiving"}, "a read from before does not count"
    await first


async def test_a_reader_that_leaves_does_not_end_the_read_of_others(gateway: Gateway) -> None:
    upload = await gateway.create()
    reads = gateway.app[UPLOAD_READS]
    for _ in range(50):
        tasks = [asyncio.create_task(reads.latest(upload["id"])) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in done[::2])
        assert not any(isinstance(one, BaseException) for one in done[1::2])
    with pytest.raises(Exception, match="There is no upload"):
        await reads.latest("nope")


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway that requires authentication, its keys, and what issues its tokens."""

    client: TruthfulClient
    keys: PostgresApiKeys
    authenticator: Authenticator


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    secret = type(settings.events_token)("s" * 32)
    settings = settings.model_copy(update={"auth": "required", "signing_secret": (secret,)})
    await migrate(settings.database_url.get_secret_value())
    async with gateway_services(settings) as services:
        app = build_app(services, replace(OPTIONS, owner_streams=LIMIT, streams=LIMIT + 1))
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, app[DOCUMENT])
            keys = PostgresApiKeys(services.contents.pool)  # type: ignore[attr-defined]  # the real one has it
            yield Site(client, keys, services.authenticator)


async def key_of(keys: PostgresApiKeys, owner: str) -> tuple[str, dict[str, str]]:
    key_id, text, digest = new_key()
    await keys.add(key_id, owner, frozenset({Scope.UPLOAD, Scope.READ}), "", digest, None)
    return key_id, {"Authorization": f"Bearer {text}"}


async def created(client: TruthfulClient, headers: dict[str, str]) -> str:
    body = {"filename": "a.mp4", "size": 1000, "content_type": "video/mp4"}
    name: str = (await client.request("POST", "/v1/uploads", json=body, headers=headers)).data["id"]
    return name


async def test_one_owner_leaves_streams_to_others(site: Site) -> None:
    client, keys = site.client, site.keys
    (_, mine), (_, other) = await key_of(keys, "mine"), await key_of(keys, "other")
    upload, others = await created(client, mine), await created(client, other)
    async with AsyncExitStack() as stack:
        for headers, name, count in ((mine, upload, LIMIT), (other, others, 1)):
            for _ in range(count):
                opened = client.session.get(f"{client.url}/v1/uploads/{name}/events", headers=headers)
                assert (await stack.enter_async_context(opened)).status == 200
        refused = await client.request("GET", f"/v1/uploads/{upload}/events", headers=mine)
        assert (refused.status, refused.code) == (429, "STREAM_LIMIT")
        refused = await client.request("GET", f"/v1/uploads/{others}/events", headers=other)
        assert (refused.status, refused.code) == (503, "GATEWAY_BUSY"), "the gateway serves no more"


async def test_a_stream_ends_when_its_key_is_revoked(site: Site) -> None:
    client, keys = site.client, site.keys
    key_id, headers = await key_of(keys, "mine")
    url = f"{client.url}/v1/uploads/{await created(client, headers)}/events"
    async with asyncio.timeout(20), client.session.get(url, headers=headers) as response:
        stream = stream_events(response)
        assert (await anext(stream)).name == "upload"
        await keys.revoke(key_id)
        names = [event.name async for event in stream if event.name]
    assert names == ["reconnect"]
    again = await client.request("GET", url.removeprefix(client.url), headers=headers)
    assert again.status == 401


async def test_a_stream_ends_when_its_token_expires(site: Site) -> None:
    client, keys = site.client, site.keys
    _, headers = await key_of(keys, "mine")
    caller = await site.authenticator.bearer(headers["Authorization"].removeprefix("Bearer "))
    name = await created(client, headers)
    token = site.authenticator.issue(TokenKind.UPLOAD, caller, "mine", name, 2).token
    ticket = site.authenticator.issue(TokenKind.TICKET, caller, "mine", name, 2).token
    url = f"{client.url}/v1/uploads/{name}/events"
    async with (
        asyncio.timeout(20),
        client.session.get(url, params={"token": token}) as response,
        client.session.get(url, params={"token": ticket}) as kept,
    ):
        assert [event.name async for event in stream_events(response) if event.name] == ["upload", "reconnect"]
        assert not kept.content.at_eof(), "a ticket counts once, at the beginning"
