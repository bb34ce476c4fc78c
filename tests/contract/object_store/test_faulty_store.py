"""Failures of the store become the errors that the port names, within the configured times, for Swift and S3."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import psutil
import pytest
from aiohttp import web
from yarl import URL

from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.stored_objects import StoredSegment
from tests.contract.object_store.dialects import DIALECTS, Dialect
from tests.contract.object_store.faulty_server import (
    DEADLINE_SECONDS,
    LARGE_BYTES,
    LONG_STALL_SECONDS,
    PAUSE_SECONDS,
    STALL_SECONDS,
    FaultyStore,
    refuse_unread,
    reset_after,
    respond,
    store,
)
from tests.contract.object_store.uploads import MemorySource, Scenario, Store
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract


async def put(client: Store, size_bytes: int = 1000) -> StoredSegment:
    upload = Scenario(client, sizes=(size_bytes, 1))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await upload.begin()
        return await client.put_segment(upload.target, MemorySource(1, upload.segment(1), block_bytes=1024 * 1024))


async def failed_put(client: Store, size_bytes: int = 1000) -> StoreError:
    with pytest.raises(StoreError) as raised:
        await put(client, size_bytes)
    return raised.value


def connections_to(faulty: FaultyStore) -> list[object]:
    """This process's connections to the store."""
    mine = psutil.Process().net_connections("tcp4")
    return [each for each in mine if each.raddr and each.raddr.port == URL(faulty.url).port]


def each(statuses: str) -> pytest.MarkDecorator:
    """Every status of this kind, with its dialect."""
    cases = [
        pytest.param(dialect, status, id=f"{dialect.name}-{status}")
        for dialect in DIALECTS
        for status in getattr(dialect, statuses)
    ]
    return pytest.mark.parametrize(("dialect", "status"), cases)


@each("transient")
async def test_a_transient_status_may_be_retried(
    faulty: FaultyStore, dialect: Dialect, client: Store, status: int
) -> None:
    faulty.fault = respond(status, body=dialect.error_body("the disk is busy"))
    error = await failed_put(client)
    assert isinstance(error, StoreUnavailable)
    assert error.retryable
    assert error.retry_after_seconds is None
    assert str(status) in error.message
    assert "the disk is busy" in error.message


@each("permanent")
async def test_a_permanent_status_may_not_be_retried(
    faulty: FaultyStore, dialect: Dialect, client: Store, status: int
) -> None:
    faulty.fault = respond(status)
    error = await failed_put(client)
    assert (error.code, error.retryable) == ("STORE_REJECTED", False)


async def test_missing_rights_are_an_authentication_error(faulty: FaultyStore, client: Store) -> None:
    faulty.fault = respond(403)
    assert (await failed_put(client)).code == "STORE_AUTH_FAILED"
    assert faulty.puts == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_read_in_seconds(faulty: FaultyStore, client: Store, status: int) -> None:
    faulty.fault = respond(status, {"Retry-After": "17"})
    error = await failed_put(client)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_seconds == 17
    with pytest.raises(StoreUnavailable) as raised:  # also where the driver reads the response
        await client.put_object("k", b"body", "text/plain")
    assert raised.value.retry_after_seconds == 17


async def test_retry_after_is_read_as_a_date(faulty: FaultyStore, client: Store) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    faulty.fault = respond(503, {"Retry-After": format_datetime(until, usegmt=True)})
    error = await failed_put(client)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_seconds == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("body_bytes", [0, 1000, 1024 * 1024], ids=["at once", "small", "in mid-body"])
async def test_a_reset_may_be_retried(faulty: FaultyStore, client: Store, body_bytes: int) -> None:
    faulty.fault = reset_after(body_bytes)
    assert isinstance(await failed_put(client, LARGE_BYTES), StoreUnavailable)
    faulty.fault = None
    assert (await put(client, LARGE_BYTES)).size_bytes == LARGE_BYTES


@pytest.mark.parametrize("size_bytes", [1000, LARGE_BYTES], ids=["small", "large"])
async def test_a_store_that_hangs_is_given_up(faulty: FaultyStore, dialect: Dialect, size_bytes: int) -> None:
    """Small: the body is sent at once and no response comes. Large: the server does not read it. Either way nothing
    remains of the connection, although the server does not close it."""
    faulty.fault = faulty.hang
    async with dialect.client(faulty.url, STALL_SECONDS) as client:  # its end closes what could be used again
        assert isinstance(await failed_put(client, size_bytes), StoreUnavailable)

    async def closed() -> bool:
        return not connections_to(faulty)

    await eventually(closed, DEADLINE_SECONDS, lambda: f"the end of {connections_to(faulty)}")


async def test_an_empty_body_without_a_response_is_given_up(faulty: FaultyStore, impatient: Store) -> None:
    faulty.fault = faulty.hang
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await impatient.put_object("k", b"", "text/plain")
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await Scenario(impatient, sizes=(0,)).put()


async def test_a_whole_body_without_a_response_is_given_up(faulty: FaultyStore, impatient: Store) -> None:
    faulty.fault = faulty.read_and_hang
    assert isinstance(await failed_put(impatient, LARGE_BYTES), StoreUnavailable)


async def test_without_100_continue_the_next_request_does_not_wait_for_it(
    faulty: FaultyStore, dialect: Dialect
) -> None:
    faulty.sends_continue = False
    async with dialect.client(faulty.url, 3 * STALL_SECONDS) as client:
        error = await failed_put(client, LARGE_BYTES)
        assert isinstance(error, StoreUnavailable)
        assert "100 Continue" in error.message
        assert (await put(client, LARGE_BYTES)).size_bytes == LARGE_BYTES


async def test_a_slow_upload_is_no_error(faulty: FaultyStore, steady: Store) -> None:
    """The whole takes longer than the stall time, but each block comes sooner."""

    class SlowSource(MemorySource):
        async def before(self, start: int) -> None:
            await asyncio.sleep(PAUSE_SECONDS)

    upload = Scenario(steady, sizes=(1_000_000, 1))
    await upload.begin()
    source = SlowSource(1, upload.segment(1), block_bytes=40_000)
    started = time.monotonic()
    await steady.put_segment(upload.target, source)
    assert time.monotonic() - started > 1.2 * LONG_STALL_SECONDS


@pytest.mark.parametrize("size_bytes", [1000, LARGE_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("status", [413, 507])
async def test_a_response_before_the_body_is_read_is_received(
    faulty: FaultyStore, client: Store, status: int, size_bytes: int
) -> None:
    faulty.fault = refuse_unread(status)
    error = await failed_put(client, size_bytes)
    # Where the reset overtakes the response, only the broken connection is known.
    assert error.code == ("STORE_REJECTED" if status == 413 else "STORE_UNAVAILABLE") or size_bytes == LARGE_BYTES
    faulty.fault = None
    await put(client)


@pytest.mark.parametrize("etag", ["0" * 32, "", "not hexadecimal"])
async def test_an_unexpected_etag_is_an_error(faulty: FaultyStore, dialect: Dialect, client: Store, etag: str) -> None:
    faulty.fault = respond(dialect.stored, {"Etag": etag})
    assert isinstance(await failed_put(client), StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        await client.put_object("k", b"body", "text/plain")


async def test_a_missing_etag_is_an_error(faulty: FaultyStore, dialect: Dialect, client: Store) -> None:
    faulty.fault = respond(dialect.stored)
    assert isinstance(await failed_put(client), StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        await client.put_object("k", b"body", "text/plain")


@pytest.mark.parametrize("quoted", [True, False])
async def test_an_etag_may_be_quoted_or_not(faulty: FaultyStore, client: Store, quoted: bool) -> None:
    async def stored(request: web.Request) -> web.StreamResponse:
        response = await store(request)
        etag = response.headers["Etag"].strip('"')
        response.headers["Etag"] = f'"{etag}"' if quoted else etag
        return response

    faulty.fault = stored
    assert (await put(client)).etag.isalnum()
    assert (await client.put_object("k", b"body", "text/plain")).etag.isalnum()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid", "not a url"])
async def test_a_host_that_does_not_exist(dialect: Dialect, url: str) -> None:
    with pytest.raises(StoreError) as raised:
        async with dialect.client(url, DEADLINE_SECONDS) as client:
            await put(client)
    assert raised.value.code in ("STORE_UNAVAILABLE", "STORE_REJECTED")
