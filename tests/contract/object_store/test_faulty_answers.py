"""Answers that are not what they seem: manifests that were not stored, reads that end early."""

from __future__ import annotations

import asyncio
import json

import pytest

from pipeline.adapters.object_store.swift import SwiftObjectStore
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.model import StoredSegment
from tests.contract.object_store.faulty_swift import DEADLINE_SECONDS, STALL_SECONDS, FaultySwift, answer, drip
from tests.contract.object_store.uploads import Scenario, content

pytestmark = pytest.mark.contract


async def seal(client: SwiftObjectStore) -> StoreError:
    upload = Scenario(client, sizes=(100, 100, 5))
    segments = [StoredSegment(number, upload.target.plan.length(number), "0" * 32) for number in (1, 2, 3)]
    with pytest.raises(StoreError) as raised:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await client.seal(upload.target, segments)
    return raised.value


def heartbeat(status: str, **more: object) -> bytes:
    return b"   \r\n\r\n" + json.dumps({"Response Status": status, "Response Body": "", "Errors": [], **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "unavailable"),
    [
        (202, heartbeat("201 Created", Etag='"feed"'), "STORE_UNAVAILABLE", True),
        (202, heartbeat("503 Service Unavailable"), "STORE_UNAVAILABLE", True),
        (202, heartbeat("413 Request Entity Too Large"), "STORE_REJECTED", False),
        (202, heartbeat("400 Bad Request", Errors=[["/c_segments/x/1", "404 Not Found"]]), "MANIFEST_REFUSED", False),
        (202, heartbeat("400 Bad Request", Errors=[["/c_segments/x/1", "503 Busy"]]), "STORE_UNAVAILABLE", True),
        (202, b"       ", "STORE_UNAVAILABLE", True),
        (202, b"", "STORE_UNAVAILABLE", True),
        (202, b"[]", "STORE_UNAVAILABLE", True),
        (201, b"", "STORE_UNAVAILABLE", True),
        (400, b"Errors: /c/x 404", "MANIFEST_REFUSED", False),
        (500, b"", "STORE_UNAVAILABLE", True),
        (413, b"", "STORE_REJECTED", False),
    ],
)
async def test_a_manifest_that_was_not_stored_says_why(
    faulty: FaultySwift, client: SwiftObjectStore, status: int, body: bytes, code: str, unavailable: bool
) -> None:
    faulty.fault = answer(status, {"Etag": "feed"}, body)
    error = await seal(client)
    assert (error.code, isinstance(error, StoreUnavailable)) == (code, unavailable)


async def nothing() -> None:
    return None


async def test_a_slow_read_is_no_error_and_a_stalled_one_is(faulty: FaultySwift, client: SwiftObjectStore) -> None:
    async def pause() -> None:
        await asyncio.sleep(STALL_SECONDS / 4)

    faulty.fault = drip([b"x" * 100] * 12, pause)
    assert await content(client, "k") == b"x" * 1200

    forever = asyncio.Event()

    async def stop() -> None:
        await forever.wait()

    faulty.fault = drip([b"x" * 100] * 2, stop)
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await content(client, "k")
    forever.set()


async def test_a_read_that_ends_early_is_an_error(faulty: FaultySwift, client: SwiftObjectStore) -> None:
    faulty.fault = drip([b"x" * 100], nothing, length=200)
    with pytest.raises(StoreUnavailable):
        await content(client, "k")
