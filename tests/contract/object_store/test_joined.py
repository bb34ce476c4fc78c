"""Contract: an object that consists of the segments of partial uploads, where a segment is an object of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.core.errors import StoreError
from pipeline.core.segments import SegmentPlan
from pipeline.stages.whole import make_whole
from tests.contract.object_store.joined import Joined
from tests.contract.object_store.uploads import Scenario, Store, content, keys, segment_content

pytestmark = [
    pytest.mark.contract,
    pytest.mark.parametrize("store", ["filesystem", "swift-tempauth", "swift-rgw"], indirect=True),
]


async def test_segments_of_uneven_lengths_are_one_object(store: Store) -> None:
    joined = Joined(store)
    segments = await joined.put()
    assert not [key for key in await keys(store) if key.startswith("contents/")], "a part is no object"
    sealed = await store.seal(joined.target, segments)
    assert sealed == await store.seal(joined.target, segments)
    assert (sealed.size_bytes, len(sealed.segments)) == (len(joined.data), 6)
    assert await content(store, joined.target.key) == joined.data
    assert await content(store, joined.target.key, 2_990, 11_100) == joined.data[2_990:11_101]


async def test_a_segment_is_read_before_the_object_is_sealed(store: Store) -> None:
    joined = Joined(store)
    await joined.put()
    for number in range(1, joined.target.plan.count + 1):
        first, length = joined.target.plan.offset(number), joined.target.plan.length(number)
        found = await segment_content(store, joined.target, number, 1, length - 1)
        assert found == joined.data[first + 1 : first + length]


async def test_a_missing_segment_is_named(store: Store) -> None:
    joined = Joined(store)
    segments = await joined.put()
    await store.abort(joined.parts[1].target)
    with pytest.raises(StoreError) as refused:
        await store.seal(joined.target, segments)
    assert (refused.value.code, refused.value.detail["segments"]) == ("MANIFEST_REFUSED", [4])


@pytest.mark.parametrize("sealed", [False, True])
async def test_abort_removes_the_segments_of_every_part(store: Store, *, sealed: bool) -> None:
    joined, other = Joined(store), Scenario(store)
    await other.sealed()
    before = await keys(store)
    segments = await joined.put()
    if sealed:
        await store.seal(joined.target, segments)
    for _ in range(2):
        await store.abort(joined.target)
        assert await keys(store) == before


async def test_a_deletion_that_knows_the_ids_alone_removes_everything(store: Store) -> None:
    joined = Joined(store)
    await store.seal(joined.target, await joined.put())
    one = SegmentPlan(1, 1)
    await store.abort(replace(joined.target, plan=SegmentPlan.joined([one] * 3)))
    assert await keys(store) == []


async def test_a_partial_upload_is_removed_without_its_neighbours(store: Store) -> None:
    joined = Joined(store)
    await joined.put()
    await store.abort(joined.parts[1].target)
    left = await keys(store)
    assert len(left) == 5
    assert not [key for key in left if joined.parts[1].target.upload_id in key]


async def test_one_segment_becomes_a_plain_object(store: Store) -> None:
    joined = Joined(store, ((5_000,),))
    (segment,) = await joined.put()
    sealed = await make_whole(store, joined.target, segment)
    assert (sealed.etag, sealed.segments) == (segment.etag, (segment,))
    assert (await keys(store), await content(store, joined.target.key)) == ([joined.target.key], joined.data)
    assert await make_whole(store, joined.target, segment) == sealed, "a run that is repeated finds its copy"
