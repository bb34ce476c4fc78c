"""Contract of S3 for files that are joined from partial uploads: the store copies what is long enough to be a part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pipeline.adapters.object_store.s3 import S3ObjectStore
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.segments import MEBIBYTE, SegmentPlan
from pipeline.core.stored_objects import StoredSegment
from tests.contract.object_store.conftest import ceph_credentials, ceph_options
from tests.contract.object_store.joined import Joined
from tests.contract.object_store.uploads import MemorySource, content, keys
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy, Passing

pytestmark = pytest.mark.contract

LONG = 5 * MEBIBYTE
SHAPES = {
    "every segment is a part": ((LONG, LONG), (LONG, 17)),
    "one byte in the middle": ((LONG, 1), (LONG, 17)),
    "3 MiB and 3 MiB": ((3 * MEBIBYTE,), (3 * MEBIBYTE,), (LONG,)),
    "short ones at the end": ((LONG, 9), (10,), (11,)),
    "one short part": ((10,), (11,)),
}
both = pytest.mark.parametrize("store", ["s3", "s3-rgw"], indirect=True)


async def remade(joined: Joined, segments: list[StoredSegment]) -> None:
    """Sealing once more finds the object."""
    before = await joined.store.head(joined.target.key)
    sealed = await joined.store.seal(joined.target, segments)
    assert (sealed.etag, sealed.segments) == (before.etag, tuple(segments))


@both
@pytest.mark.parametrize("shape", SHAPES)
async def test_parts_of_any_length_are_one_object(store: S3ObjectStore, shape: str) -> None:
    joined = Joined(store, SHAPES[shape])
    segments = await joined.put()
    assert joined.target.key not in await keys(store), "a part is no object of its final upload"
    sealed = await store.seal(joined.target, segments)
    assert (sealed.size_bytes, sealed.segments) == (len(joined.data), tuple(segments))
    assert await content(store, joined.target.key) == joined.data
    assert await keys(store) == [joined.target.key], "neither segments nor sessions are left"
    await remade(joined, segments)
    await store.abort(joined.target)
    assert await keys(store) == []


@both
async def test_a_file_of_one_segment_is_copied(store: S3ObjectStore) -> None:
    joined = Joined(store, ((5_000,),))
    (segment,) = await joined.put()
    assert joined.target.session == "", "a copy needs no session"
    sealed = await store.seal(joined.target, [segment])
    assert (sealed.etag, sealed.segments, sealed.content_type) == (segment.etag, (segment,), "video/mp4")
    assert (await keys(store), await content(store, joined.target.key)) == ([joined.target.key], joined.data)
    await remade(joined, [segment])


@both
@pytest.mark.parametrize("shape", ["every segment is a part", "one byte in the middle"])
async def test_an_interrupted_run_is_continued(store: S3ObjectStore, shape: str) -> None:
    """It copied one part, or it was about to remove the segments."""
    joined = Joined(store, SHAPES[shape])
    segments = await joined.put()
    with pytest.raises(StoreError):
        await store.seal(joined.target, [*segments[:-1], replace(segments[-1], etag="0" * 32)])
    sealed = await store.seal(joined.target, segments)
    assert await content(store, joined.target.key) == joined.data
    await joined.put_parts()
    assert await store.seal(joined.target, segments) == sealed
    assert await keys(store) == [joined.target.key]


@both
async def test_two_runs_at_once_make_the_same_object(store: S3ObjectStore) -> None:
    joined = Joined(store, SHAPES["one byte in the middle"])
    segments = await joined.put()
    results = await asyncio.gather(*(store.seal(joined.target, segments) for _ in range(2)), return_exceptions=True)
    assert any(not isinstance(result, BaseException) for result in results), results
    for result in results:  # a server may refuse the slower one for the moment
        assert not isinstance(result, BaseException) or isinstance(result, StoreUnavailable), result
    await remade(joined, segments)
    assert (await content(store, joined.target.key), await keys(store)) == (joined.data, [joined.target.key])


@both
async def test_a_session_that_was_lost_is_replaced(store: S3ObjectStore) -> None:
    joined = Joined(store, SHAPES["one byte in the middle"])
    segments = await joined.put()
    await store.end_session(joined.target.key, joined.target.session)
    await store.seal(joined.target, segments)
    assert (await content(store, joined.target.key), await keys(store)) == (joined.data, [joined.target.key])


@both
@pytest.mark.parametrize("number", [1, 2])
async def test_a_segment_that_is_missing_or_changed_is_named(store: S3ObjectStore, number: int) -> None:
    """1 is copied, 2 is sent again together with its neighbour."""
    joined = Joined(store, SHAPES["one byte in the middle"])
    segments = await joined.put()
    named = [1] if number == 1 else [2, 3]
    first = joined.parts[0]
    await store.put_segment(first.target, MemorySource(number, bytes(len(first.segment(number)))))
    for _ in range(2):
        with pytest.raises(StoreError) as refused:
            await store.seal(joined.target, segments)
        assert (refused.value.code, refused.value.detail.get("segments")) == ("MANIFEST_REFUSED", named), refused.value
        assert not [key for key in await keys(store) if key == joined.target.key]
        await store.delete(f"contents/{first.target.upload_id}/segments/{number:08d}")
    await store.abort(joined.target)
    assert await keys(store) == []


@both
@pytest.mark.parametrize("sealed", [False, True])
async def test_a_deletion_that_knows_the_ids_alone_removes_everything(store: S3ObjectStore, *, sealed: bool) -> None:
    joined, other = Joined(store, SHAPES["short ones at the end"]), Joined(store, ((30, 10),))
    other_segments = await other.put_parts()
    kept = await keys(store)
    segments = await joined.put()
    if sealed:
        await store.seal(joined.target, segments)
        await joined.put_parts()  # a worker that was frozen stores them again
    one = SegmentPlan(1, 1)
    ids_alone = replace(joined.target, session="", plan=SegmentPlan.joined([one] * len(joined.parts)))
    for _ in range(2):
        await store.abort(ids_alone)
        assert await keys(store) == kept
    assert len(kept) == len(other_segments) == 2
    await store.abort(other.parts[0].target)
    assert await keys(store) == []


@pytest.fixture
async def by_digest(container: str, ceph: CephEndpoint) -> AsyncIterator[S3ObjectStore]:
    """A store whose ETags are not compared."""
    options = replace(ceph_options(ceph), verify="content-md5")
    async with S3ObjectStore(container, ceph_credentials(ceph), options=options) as store:
        yield store


@pytest.mark.parametrize("sizes", [((LONG, 1), (LONG, 17)), ((10,),)])
async def test_segments_may_be_verified_by_a_digest_in_the_request(
    by_digest: S3ObjectStore, sizes: tuple[tuple[int, ...], ...]
) -> None:
    joined = Joined(by_digest, sizes)
    segments = await joined.put()
    await by_digest.seal(joined.target, segments)
    assert await content(by_digest, joined.target.key) == joined.data
    await remade(joined, segments)


@pytest.mark.parametrize("sizes", [((LONG, LONG), (LONG, 17)), ((10,),)])
async def test_a_store_that_does_not_copy_gets_the_bytes_again(
    through: S3ObjectStore, proxy: AlteringProxy, sizes: tuple[tuple[int, ...], ...]
) -> None:
    joined = Joined(through, sizes)
    segments = await joined.put()
    refused = 0

    def refuse(passing: Passing) -> None:
        nonlocal refused
        if "x-amz-copy-source" in passing.headers:
            passing.status, refused = 501, refused + 1

    proxy.before = refuse
    await through.seal(joined.target, segments)
    assert refused
    assert await content(through, joined.target.key) == joined.data
    assert await keys(through) == [joined.target.key]


@pytest.mark.parametrize("damaged", [1, 2])
async def test_bytes_that_are_damaged_on_their_way_are_not_stored(
    through: S3ObjectStore, proxy: AlteringProxy, damaged: int
) -> None:
    """Segments that are read to be sent again."""
    joined = Joined(through, ((10,), (LONG,)))
    segments = await joined.put()
    name = joined.parts[damaged - 1].target.upload_id

    def damage(passing: Passing) -> None:
        if passing.method == "GET" and f"{name}/segments/" in passing.path_qs:
            passing.response_body = bytes(len(passing.response_body))

    proxy.after = damage
    with pytest.raises(StoreUnavailable):
        await through.seal(joined.target, segments)
    assert joined.target.key not in await keys(through)


async def test_a_copy_with_another_digest_is_not_taken(through: S3ObjectStore, proxy: AlteringProxy) -> None:
    joined = Joined(through, SHAPES["every segment is a part"])
    segments = await joined.put()

    def alter(passing: Passing) -> None:
        if b"CopyPartResult" in passing.response_body:
            passing.response_body = passing.response_body.replace(segments[0].etag.encode(), b"0" * 32)

    proxy.after = alter
    with pytest.raises(StoreUnavailable):
        await through.seal(joined.target, segments)
