"""Reads that end early, stall or return other bytes; and readers that stop before the store has finished."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from aiohttp import web

from pipeline.core.errors import StoreError, StoreUnavailable
from tests.contract.object_store.dialects import Dialect
from tests.contract.object_store.faulty_server import (
    DEADLINE_SECONDS,
    LONG_STALL_SECONDS,
    PAUSE_SECONDS,
    FaultyStore,
    drip,
    reset_after,
    respond,
)
from tests.contract.object_store.uploads import Store, content
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract


async def nothing() -> None:
    return None


async def failed_read(client: Store, first: int = 0, last: int | None = None) -> StoreError:
    with pytest.raises(StoreError) as raised:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await content(client, "k", first, last)
    return raised.value


async def test_a_slow_read_is_no_error(faulty: FaultyStore, steady: Store) -> None:
    """The whole takes longer than the stall time, but each block comes sooner."""

    async def pause() -> None:
        await asyncio.sleep(PAUSE_SECONDS)

    faulty.fault = drip([b"x" * 100] * 25, pause)
    started = time.monotonic()
    assert await content(steady, "k") == b"x" * 2500
    assert time.monotonic() - started > 1.2 * LONG_STALL_SECONDS


async def test_a_read_that_stalls_is_given_up(faulty: FaultyStore, impatient: Store) -> None:
    forever = asyncio.Event()

    async def stop() -> None:
        await forever.wait()

    faulty.fault = drip([b"x" * 100] * 2, stop)
    assert isinstance(await failed_read(impatient), StoreUnavailable)
    forever.set()


async def test_a_read_without_a_response_is_given_up(faulty: FaultyStore, impatient: Store) -> None:
    faulty.fault = faulty.hang
    assert isinstance(await failed_read(impatient), StoreUnavailable)


@pytest.mark.parametrize("announced", [101, 10_000_000])
async def test_a_read_that_ends_early_is_an_error(faulty: FaultyStore, client: Store, announced: int) -> None:
    faulty.fault = drip([b"x" * 100], nothing, length=announced)
    assert isinstance(await failed_read(client), StoreUnavailable)


async def test_a_read_that_is_reset_may_be_retried(faulty: FaultyStore, client: Store) -> None:
    faulty.fault = reset_after(0)
    assert isinstance(await failed_read(client), StoreUnavailable)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_read_that_is_refused_for_now_may_be_retried(
    faulty: FaultyStore, dialect: Dialect, client: Store, status: int
) -> None:
    faulty.fault = respond(status, {"Retry-After": "3"}, dialect.error_body("the disk is busy"))
    error = await failed_read(client)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_seconds == 3


async def test_a_whole_object_in_response_to_a_range_is_refused(faulty: FaultyStore, client: Store) -> None:
    """Its bytes would not be the requested ones."""
    faulty.fault = respond(200, {"ETag": "e"}, b"x" * 1000)
    error = await failed_read(client, 5, 9)
    assert not isinstance(error, StoreUnavailable)


@pytest.mark.parametrize("blocks", [0, 1], ids=["before the response", "in mid-body"])
async def test_a_cancelled_read_closes_its_connection_at_once(faulty: FaultyStore, client: Store, blocks: int) -> None:
    """Not only when the store is given up. This is what happens when the client of a download disconnects."""
    at_work = asyncio.Event()
    transport: asyncio.Transport | None = None

    async def silent(request: web.Request) -> web.StreamResponse:
        nonlocal transport
        assert isinstance(request.transport, asyncio.Transport)
        transport = request.transport
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        if blocks:
            await response.prepare(request)
            await response.write(b"x" * 100)
        at_work.set()
        return await faulty.hang(request)

    faulty.fault = silent
    reading = cast(AsyncGenerator[bytes, None], client.read("k"))
    for _ in range(blocks):
        assert await anext(reading) == b"x" * 100
    waiting = asyncio.ensure_future(anext(reading))
    await at_work.wait()
    waiting.cancel()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(waiting, return_exceptions=True)
        await reading.aclose()
    assert waiting.cancelled()

    async def gone() -> bool:
        assert transport is not None
        return transport.is_closing()

    await eventually(gone, DEADLINE_SECONDS, lambda: "the connection to end")


async def test_reads_succeed_after_the_store_recovers(faulty: FaultyStore, client: Store) -> None:
    """A failed read leaves no connection in the pool that would break the next request."""
    faulty.fault = drip([b"x" * 100], nothing, length=200)
    for _ in range(3):
        await failed_read(client)
    faulty.fault = respond(200, {"ETag": "e"}, b"all of it")
    assert await content(client, "k") == b"all of it"
