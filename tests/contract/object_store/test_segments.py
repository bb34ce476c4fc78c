"""Contract: segments are stored whole or not at all, in any order, and may be put again."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.adapters.object_store.integrity import md5_hex
from pipeline.core.errors import DigestRefused, SegmentCorrupt, StoreError, TempVolumeError
from pipeline.core.stored_objects import COMPARES_MD5
from tests.contract.object_store.uploads import (
    FailingSource,
    HangingSource,
    MemorySource,
    Scenario,
    Store,
    content,
    min_segment_bytes,
    some_bytes,
)

pytestmark = pytest.mark.contract


async def test_a_segment_is_acknowledged_with_its_number_size_and_etag(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    [segment] = await upload.put(2)
    assert (segment.number, segment.size_bytes) == (2, upload.sizes[1])
    assert segment.etag
    assert '"' not in segment.etag


@pytest.mark.parametrize("error", [SegmentCorrupt(2), TempVolumeError("TEMP_FILE_MISSING")], ids=["corrupt", "missing"])
async def test_an_error_of_the_source_is_raised_unchanged_and_nothing_is_stored(store: Store, error: Exception) -> None:
    upload = Scenario(store)
    await upload.begin()
    first, second, third = await upload.put()
    await store.abort(upload.target)
    await upload.begin()
    first, third = await upload.put(1, 3)

    with pytest.raises(type(error)) as raised:
        await store.put_segment(upload.target, FailingSource(2, upload.segment(2), error))
    assert raised.value is error

    with pytest.raises(StoreError) as refused:
        await store.seal(upload.target, [first, second, third])
    assert refused.value.code == "MANIFEST_REFUSED"


async def test_a_corrupt_single_segment_leaves_no_object(store: Store) -> None:
    upload = Scenario(store, sizes=(300_000,))
    await upload.begin()
    with pytest.raises(SegmentCorrupt):
        await store.put_segment(upload.target, FailingSource(1, upload.segment(1)))
    with pytest.raises(StoreError) as missing:
        await store.head(upload.target.key)
    assert missing.value.code == "STORE_OBJECT_MISSING"


async def test_a_store_that_compares_an_md5_keeps_only_bytes_that_have_it(store: Store) -> None:
    """`COMPARES_MD5` is what gateways rely on when they do not compare it themselves."""
    if store.name not in COMPARES_MD5:
        pytest.skip("the gateway compares it")
    upload = Scenario(store, sizes=(300_000,))
    await upload.begin()
    source = MemorySource(1, upload.segment(1))
    source.md5_hex = md5_hex(b"other bytes")
    with pytest.raises(DigestRefused):
        await store.put_segment(upload.target, source)
    with pytest.raises(StoreError) as missing:
        await store.head(upload.target.key)
    assert missing.value.code == "STORE_OBJECT_MISSING"

    source.md5_hex = md5_hex(upload.segment(1))
    stored = await store.put_segment(upload.target, source)
    assert stored.etag == source.md5_hex
    sealed = await store.seal(upload.target, [stored])
    assert await content(store, sealed.key) == upload.segment(1)


@pytest.mark.parametrize("difference", [-1, 1], ids=["short", "long"])
async def test_a_source_of_an_unexpected_length_stores_nothing(store: Store, difference: int) -> None:
    upload = Scenario(store, sizes=(300_000,))
    await upload.begin()
    source = MemorySource(1, upload.segment(1))
    source.size_bytes -= difference
    with pytest.raises(SegmentCorrupt):
        await store.put_segment(upload.target, source)
    with pytest.raises(StoreError) as missing:
        await store.head(upload.target.key)
    assert missing.value.code == "STORE_OBJECT_MISSING"


async def test_a_segment_can_be_put_again_after_a_corrupt_one(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    with pytest.raises(SegmentCorrupt):
        await store.put_segment(upload.target, FailingSource(1, upload.segment(1)))
    await store.seal(upload.target, await upload.put())
    assert await content(store, upload.target.key) == upload.data


async def test_a_segment_put_twice_is_the_same_segment(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    assert await upload.put(1) == await upload.put(1)
    await store.seal(upload.target, await upload.put())
    assert await content(store, upload.target.key) == upload.data


async def test_the_order_of_arrival_does_not_matter(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    backwards = await upload.put(3, 2, 1)
    await store.seal(upload.target, backwards[::-1])
    assert await content(store, upload.target.key) == upload.data


async def test_a_put_that_was_cancelled_half_way_can_be_repeated(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    source = HangingSource(2, upload.segment(2))
    cancelled = asyncio.create_task(store.put_segment(upload.target, source))
    await source.reached_half.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    await store.seal(upload.target, await upload.put())
    assert await content(store, upload.target.key) == upload.data


async def test_sixteen_segments_are_put_concurrently(store: Store) -> None:
    smallest = max(min_segment_bytes(store), 50_000)
    upload = Scenario(store, sizes=(smallest,) * 15 + (77,))
    await upload.begin()
    segments = await asyncio.gather(
        *(store.put_segment(upload.target, upload.source(number)) for number in range(1, 17))
    )
    await store.seal(upload.target, segments)
    assert await content(store, upload.target.key) == upload.data


async def test_the_last_put_of_a_segment_wins(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    other = await store.put_segment(upload.target, MemorySource(1, some_bytes(upload.sizes[0], seed=9)))
    first, second, third = await upload.put()
    assert other.etag != first.etag
    await store.seal(upload.target, [first, second, third])
    assert await content(store, upload.target.key) == upload.data


async def test_nothing_is_visible_before_seal(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put()
    with pytest.raises(StoreError) as missing:
        await store.head(upload.target.key)
    assert missing.value.code == "STORE_OBJECT_MISSING"
