"""Contract: a read that names a version never returns bytes of another one."""

from __future__ import annotations

import pytest

from pipeline.adapters.object_store.swift import SwiftObjectStore, TempAuth
from pipeline.core.errors import StoreError
from pipeline.ports import SegmentReads
from tests.contract.object_store.uploads import MemorySource, Scenario, Store

pytestmark = pytest.mark.contract

RANGES: list[tuple[int, int | None]] = [(0, None), (0, 9), (100, 199), (90_000, None)]


async def of_version(store: Store, key: str, etag: str, first: int = 0, last: int | None = None) -> bytes:
    return b"".join([block async for block in store.read(key, first, last, etag=etag)])


async def refused(store: Store, key: str, etag: str, first: int = 0, last: int | None = None) -> str:
    """The code of the error, which comes before any byte."""
    with pytest.raises(StoreError) as error:
        await anext(aiter(store.read(key, first, last, etag=etag)))
    return error.value.code


@pytest.mark.parametrize("kind", ["object", "manifest", "one segment"])
async def test_the_version_that_is_there_is_read(store: Store, kind: str) -> None:
    upload = Scenario(store, sizes=(100_000,) if kind == "one segment" else None)
    if kind == "object":
        await store.put_object(upload.target.key, upload.data, "video/mp4")
    else:
        await upload.sealed()
    key, etag = upload.target.key, (await store.head(upload.target.key)).etag
    for first, last in RANGES:
        end = len(upload.data) if last is None else last + 1
        assert await of_version(store, key, etag, first, last) == upload.data[first:end], (first, last)
    for first, last in RANGES:
        assert await refused(store, key, "0" * 32, first, last) == "OBJECT_CHANGED"


@pytest.mark.parametrize("before", ["object", "manifest"])
@pytest.mark.parametrize("after", ["object", "manifest"])
async def test_an_object_that_was_replaced_is_not_read(store: Store, before: str, after: str) -> None:
    """By one of the same length, so that its length does not give it away."""
    upload = Scenario(store)

    async def put(kind: str, data: bytes) -> str:
        if kind == "object":
            await store.put_object(upload.target.key, data, "video/mp4")
        else:
            await upload.begin()
            upload.data = data
            await store.seal(upload.target, await upload.put())
        return (await store.head(upload.target.key)).etag

    old = await put(before, upload.data)
    assert await of_version(store, upload.target.key, old, 0, 9) == upload.data[:10]
    new = await put(after, bytes(len(upload.data)))
    assert old != new
    for first, last in RANGES:
        assert await refused(store, upload.target.key, old, first, last) == "OBJECT_CHANGED"
    assert await of_version(store, upload.target.key, new, 0, 9) == bytes(10)


async def test_an_object_that_is_gone_is_missing(store: Store) -> None:
    stored = await store.put_object("gone", b"bytes", "text/plain")
    await store.delete("gone")
    assert await refused(store, "gone", stored.etag) == "STORE_OBJECT_MISSING"


async def test_a_range_beyond_the_end_of_the_version_is_refused(store: Store) -> None:
    stored = await store.put_object("short", b"bytes", "text/plain")
    assert await refused(store, "short", stored.etag, 5, 9) == "STORE_REJECTED"


@pytest.mark.parametrize("sizes", [None, (5_000,)], ids=["many segments", "one segment"])
async def test_a_segment_that_was_replaced_is_not_read(store: Store, sizes: tuple[int, ...] | None) -> None:
    upload = Scenario(store, sizes=sizes)
    await upload.begin()
    [stored] = await upload.put(1)
    if not isinstance(store, SegmentReads):
        return

    async def read(etag: str) -> bytes:
        assert isinstance(store, SegmentReads)
        return b"".join([block async for block in store.read_segment(upload.target, 1, 10, 99, etag=etag)])

    assert await read(stored.etag) == upload.data[10:100]
    again = await store.put_segment(upload.target, MemorySource(1, bytes(stored.size_bytes)))
    with pytest.raises(StoreError) as changed:
        await read(stored.etag)
    assert changed.value.code == "OBJECT_CHANGED"
    assert await read(again.etag) == bytes(90)
    await store.abort(upload.target)
    with pytest.raises(StoreError) as missing:
        await read(again.etag)
    assert missing.value.code == "STORE_OBJECT_MISSING"


async def test_sealing_takes_as_many_requests_for_many_segments_as_for_a_few(
    tempauth: TempAuth, container: str
) -> None:
    """Swift compares the segments itself, and lists many of them on one page."""
    seen: list[str] = []
    async with SwiftObjectStore(tempauth, container, observer=lambda method, *_: seen.append(method)) as store:

        async def requests(count: int) -> tuple[list[str], list[str]]:
            upload = Scenario(store, sizes=(10,) * count)
            await upload.begin()
            segments = await upload.put_concurrently()
            seen.clear()
            held = await store.held_segments(upload.target)
            listing = list(seen)
            assert held == segments
            seen.clear()
            await store.seal(upload.target, segments)
            return listing, list(seen)

        few, many = await requests(2), await requests(40)
    assert few == many
    assert few[1] == ["PUT"]
