"""Event streams: the whole upload at the beginning and after each change, and a final event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from gateway.http.state import RUNNING
from gateway.options import GatewayOptions
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import following
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; `name` is "" for a comment."""

    name: str
    id: str
    data: dict[str, Any]


async def stream_events(response: aiohttp.ClientResponse) -> AsyncIterator[StreamEvent]:
    """Every event and comment of a stream."""
    found: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            yield StreamEvent(found.get("event", ""), found.get("id", ""), json.loads(found.get("data", "{}")))
            found = {}


async def test_an_upload_is_followed_to_its_end(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with asyncio.timeout(20), gateway.client.session.get(upload["links"]["events"]) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        stream = stream_events(response)
        first = await anext(stream)
        assert (first.name, first.data["id"], first.data["status"]) == ("upload", upload["id"], "admitted")
        await gateway.client.request(
            "PUT", upload["links"]["segment"].replace("{number}", "2"), data=bytes(SEGMENT_BYTES)
        )
        second = await anext(event async for event in stream if event.name)
        assert (second.data["status"], second.data["missing_segments"]) == ("receiving", [[1, 1], [3, 3]])
        await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
        rest = [event async for event in stream if event.name]
    assert [event.name for event in rest] == ["upload", "end"]
    assert rest[0].data["status"] == rest[1].data["status"] == "cancelled"
    again = await gateway.client.request(
        "GET", f"/v1/uploads/{upload['id']}/events", headers={"Last-Event-ID": rest[1].id}
    )
    assert again.status == 204
    await following(0)


async def test_the_stream_of_an_ended_upload_ends_at_once(gateway: Gateway) -> None:
    upload = await gateway.create()
    await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
    async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as response:
        assert [event.name async for event in stream_events(response)] == ["upload", "end"]


async def test_an_idle_stream_is_kept_open(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as response:
        stream = stream_events(response)
        assert (await anext(stream)).name == "upload"
        assert (await anext(stream)).name == ""
        assert (await anext(stream)).name == ""


async def test_a_burst_of_changes_is_combined(gateway: Gateway) -> None:
    upload = await gateway.create(20 * SEGMENT_BYTES // 2)
    async with asyncio.timeout(20), gateway.client.session.get(upload["links"]["events"]) as response:
        stream = stream_events(response)
        await anext(stream)
        links = [upload["links"]["segment"].replace("{number}", str(number)) for number in range(1, 10)]
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(gateway.client.request("PUT", link, data=bytes(SEGMENT_BYTES)) for link in links))
        sent = 0
        async for event in stream:
            sent += 1
            if event.name and event.data["missing_segments"] == [[10, 10]]:
                break
        seconds = asyncio.get_running_loop().time() - began
    assert sent <= seconds / OPTIONS.events_interval_seconds + 3


async def test_a_client_that_disconnects_releases_everything(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("GET", f"/v1/uploads/{upload['id']}/events", {})
        assert (await wire.head()).status == 200
        await following(1)
    await following(0)
    assert gateway.app[RUNNING].requests == 0


async def test_the_stream_of_an_unknown_upload_is_refused_in_the_envelope(gateway: Gateway) -> None:
    response = await gateway.client.request("GET", "/v1/uploads/nope/events")
    assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")
    upload = await gateway.create()
    head = await gateway.client.request("HEAD", f"/v1/uploads/{upload['id']}/events")
    assert (head.status, head.headers["Content-Type"]) == (200, "text/event-stream")


class TestWithoutKeepAlive:
    """Without keep-alives, events come from the feed only, and a disconnect is still noticed at once."""

    @pytest.fixture
    def options(self) -> GatewayOptions:
        return replace(OPTIONS, events_keepalive_seconds=600)

    async def test_a_change_is_sent_at_once(self, gateway: Gateway) -> None:
        upload = await gateway.create()
        async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as response:
            stream = stream_events(response)
            await anext(stream)
            await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
            assert [event.name async for event in stream][-1] == "end"

    async def test_a_disconnect_is_noticed_at_once(self, gateway: Gateway) -> None:
        upload = await gateway.create()
        async with connect(gateway.url) as wire:
            await wire.begin("GET", f"/v1/uploads/{upload['id']}/events", {})
            assert (await wire.head()).status == 200
            await following(1)
        await following(0)
