"""More bodies at once than are read without a pause: each is read in its turn, whatever the clients of others do."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from pipeline.settings import Settings
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.gauges import receiving
from tests.integration.gateway.wire import Wire, connect

pytestmark = pytest.mark.integration

SEGMENT_BYTES = 512 * 1024
SENT_BYTES = SEGMENT_BYTES // 2
SLOW, LEAVING, FAST = range(1, 51), range(51, 61), range(61, 101)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Many segments, and memory for four of them."""
    more = {"segment_bytes": SEGMENT_BYTES, "receive_buffer_bytes": 4 * SEGMENT_BYTES}
    return settings.model_copy(update={"temp_budget_bytes": 200 * SEGMENT_BYTES, **more})


async def test_bodies_arrive_beside_clients_that_stop_and_clients_that_leave(gateway: Gateway) -> None:
    data = random.Random(1).randbytes(SEGMENT_BYTES * 100)
    upload = await gateway.create(len(data))

    def segment(number: int) -> bytes:
        return data[(number - 1) * SEGMENT_BYTES : number * SEGMENT_BYTES]

    async def begin(wire: Wire, number: int, count: int) -> None:
        path = f"/v1/uploads/{upload['id']}/segments/{number}"
        await wire.begin("PUT", path, {"Content-Length": str(SEGMENT_BYTES)}, segment(number)[:count])

    async def whole(number: int) -> int:
        async with connect(gateway.url) as wire:
            await begin(wire, number, SEGMENT_BYTES)
            return (await wire.head()).status

    async def finished(wire: Wire, number: int) -> int:
        await wire.send(segment(number)[SENT_BYTES:])
        return (await wire.head()).status

    async with AsyncExitStack() as slow, AsyncExitStack() as leaving:
        wires = {number: await slow.enter_async_context(connect(gateway.url)) for number in SLOW}
        others = {number: await leaving.enter_async_context(connect(gateway.url)) for number in LEAVING}
        for number, wire in (wires | others).items():
            await begin(wire, number, SENT_BYTES)
        await receiving(len(SLOW) + len(LEAVING))
        assert set(await asyncio.gather(*map(whole, FAST))) == {200}, "those that have stopped delay no other"
        await leaving.aclose()
        await receiving(len(SLOW))
        assert set(await asyncio.gather(*(finished(wires[number], number) for number in SLOW))) == {200}
    view = (await gateway.client.request("GET", f"/v1/uploads/{upload['id']}")).data
    assert view["missing_segments"] == [[LEAVING[0], LEAVING[-1]]]
    assert set(await asyncio.gather(*map(whole, LEAVING))) == {200}
    file = next(gateway.settings.temp_dir.glob("*.data"))
    assert file.read_bytes()[: len(data)] == data
    assert gateway.services.receive_buffer.used_bytes == 0
