"""Event streams: the whole upload at once, again after each change, and an end that is one."""

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
class Happening:
    """One event; `name` is "" for a comment."""

    name: str
    id: str
    data: dict[str, Any]


async def happenings(answer: aiohttp.ClientResponse) -> AsyncIterator[Happening]:
    """Every event and comment of a stream, as they come."""
    found: dict[str, str] = {}
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            yield Happening(found.get("event", ""), found.get("id", ""), json.loads(found.get("data", "{}")))
            found = {}


async def test_an_upload_is_followed_to_its_end(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with asyncio.timeout(20), gateway.client.session.get(upload["links"]["events"]) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        stream = happenings(answer)
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


async def test_an_upload_that_has_ended_says_so_and_ends(gateway: Gateway) -> None:
    upload = await gateway.create()
    await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
    async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as answer:
        assert [event.name async for event in happenings(answer)] == ["upload", "end"]


async def test_a_stream_on_which_nothing_happens_is_kept_open(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as answer:
        stream = happenings(answer)
        assert (await anext(stream)).name == "upload"
        assert (await anext(stream)).name == ""
        assert (await anext(stream)).name == ""


async def test_a_burst_of_changes_is_told_together(gateway: Gateway) -> None:
    upload = await gateway.create(20 * SEGMENT_BYTES // 2)
    async with asyncio.timeout(20), gateway.client.session.get(upload["links"]["events"]) as answer:
        stream = happenings(answer)
        await anext(stream)
        links = [upload["links"]["segment"].replace("{number}", str(number)) for number in range(1, 10)]
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(gateway.client.request("PUT", link, data=bytes(SEGMENT_BYTES)) for link in links))
        told = 0
        async for event in stream:
            told += 1
            if event.name and event.data["missing_segments"] == [[10, 10]]:
                break
        seconds = asyncio.get_running_loop().time() - began
    assert told <= seconds / OPTIONS.events_interval_seconds + 2


async def test_a_client_that_goes_away_frees_everything(gateway: Gateway) -> None:
    upload = await gateway.create()
    async with connect(gateway.url) as wire:
        await wire.begin("GET", f"/v1/uploads/{upload['id']}/events", {})
        assert (await wire.head()).status == 200
        await following(1)
    await following(0)
    assert gateway.app[RUNNING].requests == 0


async def test_a_stream_of_nothing_is_refused_in_the_envelope(gateway: Gateway) -> None:
    told = await gateway.client.request("GET", "/v1/uploads/nope/events")
    assert (told.status, told.code) == (404, "UPLOAD_NOT_FOUND")
    upload = await gateway.create()
    head = await gateway.client.request("HEAD", f"/v1/uploads/{upload['id']}/events")
    assert (head.status, head.headers["Content-Type"]) == (200, "text/event-stream")


class TestWithoutKeepAlive:
    """Keep-alive is far away: what is told is told by the feed, and who goes is noticed at once."""

    @pytest.fixture
    def options(self) -> GatewayOptions:
        return replace(OPTIONS, events_keepalive_seconds=600)

    async def test_a_change_is_told_at_once(self, gateway: Gateway) -> None:
        upload = await gateway.create()
        async with asyncio.timeout(10), gateway.client.session.get(upload["links"]["events"]) as answer:
            stream = happenings(answer)
            await anext(stream)
            await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
            assert [event.name async for event in stream][-1] == "end"

    async def test_a_client_that_goes_is_noticed_at_once(self, gateway: Gateway) -> None:
        upload = await gateway.create()
        async with connect(gateway.url) as wire:
            await wire.begin("GET", f"/v1/uploads/{upload['id']}/events", {})
            assert (await wire.head()).status == 200
            await following(1)
        await following(0)
