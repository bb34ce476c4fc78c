"""Contract of the ability `SegmentReads`: stored segments are read before the manifest is written."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StoreError
from pipeline.ports import SegmentReads
from tests.contract.object_store.uploads import MemorySource, Scenario, Store, segment_content

pytestmark = pytest.mark.contract


async def test_only_s3_cannot_read_segments_before_the_manifest(store: Store) -> None:
    assert isinstance(store, SegmentReads) is (store.name != "s3")


async def test_any_range_of_a_segment_is_read(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put(2, 3)
    if not isinstance(store, SegmentReads):
        return
    for number in (2, 3):
        data = upload.segment(number)
        for first, last in ((0, len(data) - 1), (0, 0), (len(data) - 1, len(data) - 1), (100, 1099)):
            assert await segment_content(store, upload.target, number, first, last) == data[first : last + 1]
    with pytest.raises(StoreError) as missing:
        await segment_content(store, upload.target, 1, 0, 9)
    assert missing.value.code == "STORE_OBJECT_MISSING"
    await store.seal(upload.target, [*(await upload.put(1)), *(await upload.put(2, 3))])
    assert await segment_content(store, upload.target, 1, 5, 9) == upload.data[5:10]


async def test_an_upload_of_one_segment_is_read_in_the_same_way(store: Store) -> None:
    upload = Scenario(store, sizes=(5_000,))
    await upload.begin()
    if not isinstance(store, SegmentReads):
        return
    with pytest.raises(StoreError) as missing:
        await segment_content(store, upload.target, 1, 0, 9)
    assert missing.value.code == "STORE_OBJECT_MISSING"
    await upload.put(1)
    assert await segment_content(store, upload.target, 1, 10, 4_999) == upload.data[10:]


async def test_the_latest_bytes_of_a_segment_are_read(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put(2)
    if not isinstance(store, SegmentReads):
        return
    other = bytes(len(upload.segment(2)))
    await store.put_segment(upload.target, MemorySource(2, other))
    assert await segment_content(store, upload.target, 2, 0, 99) == other[:100]


async def test_blocks_are_bounded(store: Store) -> None:
    upload = Scenario(store, sizes=(5 * 1024 * 1024, 10))
    await upload.begin()
    await upload.put(1)
    if not isinstance(store, SegmentReads):
        return
    lengths = [len(block) async for block in store.read_segment(upload.target, 1, 0, upload.sizes[0] - 1)]
    assert sum(lengths) == upload.sizes[0]
    assert max(lengths) <= 1024 * 1024
