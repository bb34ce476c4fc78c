"""Redis loses everything while Uppy sends a file whose size is not known yet: the journal has what is needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack
from tests.e2e.companion_client import PART_BYTES, CompanionClient
from tests.harness.cell import Cell, eventually
from tests.harness.losses import recover
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["swift", "s3"])
def store_cell(
    request: pytest.FixtureRequest, own_servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = {"store": request.param, "swift_tempurl_key": "a-key-of-the-test"}
    with cell_processes(own_servers, tmp_path_factory.mktemp("companion"), **settings) as started:
        yield started


def film(size: int) -> bytes:
    head = sample("mp4").read_bytes()
    rest = size - len(head)
    return head + rest.to_bytes(4, "big") + b"free" + os.urandom(rest - 8)


async def lose_redis(cell: Cell, uppy: CompanionClient) -> None:
    """Empty Redis. The client has to repeat its requests until an operator has recovered what is in the journals."""
    await cell.redis.flushall()
    for request in (uppy.of_upload("GET"), uppy.of_upload("GET", "/3"), uppy.complete({1: "0" * 32})):
        status, failed = await request
        assert (status, failed["error"]["code"]) == (503, "UPLOAD_RECOVERING")
    await recover(cell)


async def test_a_file_whose_size_is_unknown_continues(store_cell: CellProcesses) -> None:
    async with store_cell.connected() as cell:
        uppy = CompanionClient(cell, cell.url)
        data = film(2 * PART_BYTES + 4321)
        await uppy.create()
        etags = await uppy.put_all(data, (1, 2))
        await lose_redis(cell, uppy)
        status, parts = await uppy.of_upload("GET")
        assert (status, [part["PartNumber"] for part in parts]) == (200, [1, 2]), "the store's session was journaled"
        etags[3] = await uppy.put(3, data)
        status, done = await uppy.complete(etags)
        assert status == 200, done
        view = await cell.until(uppy.key, "ready")
        assert (view["size"], view["segment_size"], view["segment_count"]) == (len(data), PART_BYTES, 3)
        assert await cell.read((await cell.content(uppy.key))["object"]["key"]) == data


async def test_it_continues_when_it_is_complete(store_cell: CellProcesses) -> None:
    """The plan that the completion has made is in the journal."""
    async with store_cell.connected() as cell:
        uppy = CompanionClient(cell, cell.url)
        data = film(PART_BYTES + 10)
        await uppy.create()
        etags = await uppy.put_all(data, (1, 2))
        worker = next(name for name in cell.processes.names if name.startswith("worker"))
        cell.processes.child(worker).stop()
        assert (await uppy.complete(etags))[0] == 200
        assert (await cell.status(uppy.key))["status"] == "processing"
        await lose_redis(cell, uppy)
        await asyncio.to_thread(lambda: [None for _ in cell.processes.child(worker).bring_up()])
        view = await cell.until(uppy.key, "ready")
        assert (view["size"], view["segment_count"]) == (len(data), 2)
        assert await cell.read((await cell.content(uppy.key))["object"]["key"]) == data


async def test_one_that_is_cancelled_afterwards_leaves_nothing(store_cell: CellProcesses) -> None:
    async with store_cell.connected() as cell:
        uppy = CompanionClient(cell, cell.url)
        data = film(2 * PART_BYTES)
        await uppy.create()
        await uppy.put_all(data, (1, 2))
        await lose_redis(cell, uppy)
        assert (await uppy.of_upload("DELETE"))[0] == 200

        async def clean() -> bool:
            return not any(uppy.key in trace for trace in await cell.left_behind())

        await eventually(clean, 60, lambda: "the upload to be removed")
