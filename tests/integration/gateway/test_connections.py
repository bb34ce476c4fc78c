"""Connections that cost their clients nothing: they are bounded, and never at the expense of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from gateway.options import GatewayOptions
from pipeline.telemetry import REGISTRY
from tests.harness.crowds import SLOW_HEAD, crowd, request
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import becomes, receiving
from tests.integration.gateway.wire import Wire, connect

pytestmark = pytest.mark.integration

LIMIT = 6


@pytest.fixture
def options(request: pytest.FixtureRequest) -> GatewayOptions:
    return replace(OPTIONS, **{"connections": LIMIT, "connections_per_address": 0, **getattr(request, "param", {})})


def with_options(**values: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("options", [values], indirect=True)


@pytest.fixture
async def wires(gateway: Gateway) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def get(wire: Wire, path: str = "/healthz") -> int:
    await wire.begin("GET", path, {})
    head = await wire.head()
    await wire.body(head)
    return head.status


async def test_idle_connections_make_room_for_new_ones(gateway: Gateway) -> None:
    async with crowd(gateway.url) as idle, connect(gateway.url) as early:
        assert await get(early) == 200
        await idle.join(10 * LIMIT)
        await idle.join(LIMIT, SLOW_HEAD)
        await becomes("sluice_connections", LIMIT)
        async with connect(gateway.url) as late:
            assert await get(late) == 200
            assert await get(late) == 200
        await early.closed()


async def test_a_request_in_progress_is_never_closed_for_a_new_connection(gateway: Gateway) -> None:
    upload = await gateway.create()
    path = f"/v1/uploads/{upload['id']}/segments/1"
    async with connect(gateway.url) as sending, crowd(gateway.url) as idle:
        await sending.begin("PUT", path, {"Content-Length": str(SEGMENT_BYTES)}, bytes(1000))
        await receiving(1)
        await idle.join(10 * LIMIT)
        await becomes("sluice_connections", LIMIT)
        await sending.send(bytes(SEGMENT_BYTES - 1000))
        assert (await sending.head()).status == 200


@pytest.mark.parametrize("stall_seconds", [3])
async def test_a_full_gateway_accepts_again_when_a_request_ends(gateway: Gateway) -> None:
    """The body of `stalled` ends after three seconds without a byte."""
    upload = await gateway.create(10 * SEGMENT_BYTES)
    async with AsyncExitStack() as stack:
        stalled = [await stack.enter_async_context(connect(gateway.url)) for _ in range(LIMIT)]
        for number, wire in enumerate(stalled, 1):
            path = f"/v1/uploads/{upload['id']}/segments/{number}"
            await wire.begin("PUT", path, {"Content-Length": str(SEGMENT_BYTES)}, b"x")
        await becomes("sluice_connections", LIMIT)
        async with connect(gateway.url) as late:
            assert await get(late) == 200


@with_options(connections=100, connections_per_address=3)
async def test_the_connections_of_an_address_are_limited(gateway: Gateway) -> None:
    upload = await gateway.create(10 * SEGMENT_BYTES)
    await gateway.client.session.connector.close()  # type: ignore[union-attr]  # its connection counts too
    async with AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connect(gateway.url)) for _ in range(3)]
        for wire in busy:
            await wire.begin("GET", f"/v1/uploads/{upload['id']}/events", {})
            assert (await wire.head()).status == 200
        async with connect(gateway.url) as refused:
            head = await refused.head()
            assert (head.status, head.headers["connection"], head.headers["retry-after"]) == (503, "close", "10")
            assert (await refused.body(head))["error"]["code"] == "CONNECTION_LIMIT"
            await refused.closed()
        busy[0].writer.close()
        await becomes("sluice_connections", 2)
        async with connect(gateway.url) as accepted:
            assert await get(accepted) == 200


@with_options(connections=100, connections_per_address=2, trusted_proxies=("127.0.0.0/8",))
async def test_a_trusted_proxy_has_no_limit_of_its_own(gateway: Gateway) -> None:
    async with crowd(gateway.url) as proxy:
        await proxy.join(20)
        await becomes("sluice_connections", 20)
        assert proxy.open_count() == 20


@with_options(connections=100, head_seconds=0.5)
@pytest.mark.parametrize("begin", [b"", SLOW_HEAD])
async def test_a_head_that_does_not_come_to_its_end_ends_the_connection(gateway: Gateway, begin: bytes) -> None:
    async with crowd(gateway.url) as slow:
        await slow.join(5, begin, b"a" * 1000)
        await becomes("sluice_connections", 0)


@with_options(connections=100, head_seconds=0.5)
async def test_a_connection_may_be_idle_between_requests_for_longer_than_a_head_may_take(gateway: Gateway) -> None:
    upload = await gateway.create()
    path = f"/v1/uploads/{upload['id']}/segments/1"
    async with connect(gateway.url) as wire, connect(gateway.url) as slow:
        assert await get(wire) == 200
        assert await get(slow) == 200
        await slow.send(SLOW_HEAD)
        await slow.closed()
        assert await get(wire) == 200
        await wire.begin("PUT", path, {"Content-Length": str(SEGMENT_BYTES)})
        for _ in range(8):  # a body that takes longer than a head may
            await wire.send(bytes(SEGMENT_BYTES // 8))
            await asyncio.sleep(0.1)
        assert (await wire.head()).status == 200


@with_options(connections=100)
async def test_a_head_has_a_longest_length(gateway: Gateway) -> None:
    before = REGISTRY.get_sample_value("sluice_connections_closed_total", {"reason": "head"}) or 0
    header = b"X-Many: " + b"a" * 8000 + b"\r\n"
    async with crowd(gateway.url) as many:
        await many.join(1, b"GET /healthz HTTP/1.1\r\nHost: test\r\n" + 16 * header)
        await becomes("sluice_connections", 0)
    assert REGISTRY.get_sample_value("sluice_connections_closed_total", {"reason": "head"}) == before + 1


@with_options(connections=100, write_seconds=5)
async def test_a_client_that_reads_no_response_is_disconnected(gateway: Gateway) -> None:
    async with crowd(gateway.url) as silent:
        await silent.join(2, 200 * request("GET", "/openapi.json"), reads=False)
        await becomes("sluice_connections", 2)
        await becomes("sluice_connections", 0)


@with_options(connections=1000)
async def test_clients_that_leave_at_once_cause_no_traceback(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    upload = await gateway.create()
    head = request("PUT", f"/v1/uploads/{upload['id']}/segments/1", {"Content-Length": str(SEGMENT_BYTES)}, b"x")
    async with crowd(gateway.url) as leaving:
        await leaving.join(200, head)
    await becomes("sluice_connections", 1)  # of `gateway.client`
    log = capfd.readouterr()
    assert "Traceback" not in log.out + log.err
