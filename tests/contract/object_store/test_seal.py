"""Contract: an object is sealed over exactly the stored segments, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.core.errors import StoreError
from tests.contract.object_store.uploads import (
    MemorySource,
    Scenario,
    Store,
    content,
    keys,
    min_segment_bytes,
    some_bytes,
)

pytestmark = pytest.mark.contract


async def refusal(store: Store, upload: Scenario, segments: list[object]) -> StoreError:
    with pytest.raises(StoreError) as refused:
        await store.seal(upload.target, segments)  # type: ignore[arg-type]
    return refused.value


async def test_head_describes_the_sealed_object(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    stored = await store.seal(upload.target, segments)
    assert (stored.store, stored.key, stored.size_bytes) == (store.name, upload.target.key, len(upload.data))
    assert stored.segments == tuple(segments)
    assert stored.container
    assert await store.head(upload.target.key) == replace(stored, segments=())


async def test_seal_is_idempotent(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    assert await store.seal(upload.target, segments) == await store.seal(upload.target, segments)
    assert await content(store, upload.target.key) == upload.data


@pytest.mark.parametrize("sizes", [(300,), None], ids=["plain", "manifest"])
async def test_segments_that_were_acknowledged_are_sealed_alike(store: Store, sizes: tuple[int, ...] | None) -> None:
    upload = Scenario(store, sizes=sizes)
    await upload.begin()
    segments = await upload.put()
    stored = await store.seal(upload.target, segments, acknowledged=True)
    assert stored == await store.seal(upload.target, segments)


@pytest.mark.parametrize("which", [1, 2, 3])
async def test_a_missing_segment_is_refused(store: Store, which: int) -> None:
    upload = Scenario(store)
    await upload.begin()
    others = [number for number in (1, 2, 3) if number != which]
    [fake] = await Scenario(store).put_elsewhere(which)
    stored = {segment.number: segment for segment in await upload.put(*others)}
    stored[which] = fake
    error = await refusal(store, upload, [stored[number] for number in (1, 2, 3)])
    assert error.code == "MANIFEST_REFUSED"
    assert error.detail.get("segments") in ([which], [])
    assert upload.target.key not in await keys(store)


async def test_a_changed_segment_is_refused(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    await store.put_segment(upload.target, MemorySource(2, some_bytes(upload.sizes[1], seed=5)))
    error = await refusal(store, upload, list(segments))
    assert error.code == "MANIFEST_REFUSED"
    assert upload.target.key not in await keys(store)


async def test_after_a_refusal_the_segment_is_sent_again_and_sealed(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    await store.put_segment(upload.target, MemorySource(2, some_bytes(upload.sizes[1], seed=5)))
    await refusal(store, upload, list(segments))
    segments[1:2] = await upload.put(2)
    await store.seal(upload.target, segments)
    assert await content(store, upload.target.key) == upload.data


async def test_a_list_that_does_not_cover_the_plan_is_refused(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    first, second, third = await upload.put()
    for wrong in ([], [first], [first, second], [first, third], [second, first, third], [first, second, third, third]):
        error = await refusal(store, upload, list(wrong))
        assert error.code == "MANIFEST_REFUSED"
    assert upload.target.key not in await keys(store)


@pytest.mark.parametrize("size_bytes", [0, 1, 5000])
async def test_one_segment_is_a_plain_object(store: Store, size_bytes: int) -> None:
    upload = Scenario(store, sizes=(size_bytes,))
    stored = await upload.sealed()
    assert stored.size_bytes == size_bytes
    assert await content(store, upload.target.key) == upload.data
    assert await keys(store) == [upload.target.key]
    assert await store.head(upload.target.key) == replace(stored, segments=())


async def test_a_missing_single_segment_is_refused(store: Store) -> None:
    upload = Scenario(store, sizes=(5000,))
    await upload.begin()
    segments = await upload.put()
    await store.delete(upload.target.key)
    assert (await refusal(store, upload, list(segments))).code == "MANIFEST_REFUSED"


async def test_a_changed_single_segment_is_refused(store: Store) -> None:
    upload = Scenario(store, sizes=(5000,))
    await upload.begin()
    segments = await upload.put()
    await store.put_object(upload.target.key, b"something else", "text/plain")
    assert (await refusal(store, upload, list(segments))).code == "MANIFEST_REFUSED"


async def test_a_one_byte_tail_is_a_segment(store: Store) -> None:
    smallest = max(min_segment_bytes(store), 1000)
    upload = Scenario(store, sizes=(smallest, 1))
    await upload.sealed()
    assert await content(store, upload.target.key) == upload.data


async def test_a_thousand_segments(store: Store) -> None:
    if min_segment_bytes(store) > 1024:
        pytest.skip(f"a segment of this store has at least {min_segment_bytes(store)} bytes: 5 GB for a thousand")
    upload = Scenario(store, sizes=(11,) * 999 + (3,))
    await upload.begin()
    segments = await upload.put_concurrently()
    stored = await store.seal(upload.target, segments)
    assert stored.size_bytes == 999 * 11 + 3
    assert await content(store, upload.target.key, 500, 520) == upload.data[500:521]
    await store.abort(upload.target)
    assert await keys(store) == []
