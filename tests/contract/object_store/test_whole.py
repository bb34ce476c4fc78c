"""Contract: the only segment of a file, which was stored as one of several, becomes the object itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.core.errors import StoreError
from pipeline.core.segments import SegmentPlan
from pipeline.ports import PresignedUploads
from tests.contract.object_store.uploads import Scenario, Store, content, keys, min_segment_bytes

pytestmark = pytest.mark.contract


async def test_a_segment_becomes_the_object(store: Store) -> None:
    if not isinstance(store, PresignedUploads):
        pytest.skip("clients do not reach this store")
    size = max(min_segment_bytes(store), 100_000)
    upload = Scenario(store, sizes=(size, 10))
    await upload.begin()
    [segment] = await upload.put(1)
    assert list(await store.held_segments(upload.target)) == [segment]
    target = replace(upload.target, plan=SegmentPlan(size, size))
    whole = await store.make_whole(target, segment)
    assert (whole.number, whole.size_bytes) == (1, size)
    sealed = await store.seal(target, [whole])
    assert (sealed.size_bytes, sealed.etag) == (size, whole.etag)
    assert await content(store, target.key) == upload.segment(1)
    assert (await store.head(target.key)).content_type.partition(";")[0] == "video/mp4"
    assert await keys(store, f"contents/{target.upload_id}/") == [target.key]
    await store.delete(target.key)
    assert await _held(store, upload) == [], "nothing of the segment is left"


async def test_a_segment_that_the_store_does_not_have_becomes_nothing(store: Store) -> None:
    if not isinstance(store, PresignedUploads):
        pytest.skip("clients do not reach this store")
    size = max(min_segment_bytes(store), 100_000)
    upload = Scenario(store, sizes=(size, 10))
    [segment] = await upload.put_elsewhere(1)
    await upload.begin()
    with pytest.raises(StoreError) as missing:
        await store.make_whole(replace(upload.target, plan=SegmentPlan(size, size)), segment)
    assert missing.value.code in ("STORE_OBJECT_MISSING", "MANIFEST_REFUSED")
    with pytest.raises(StoreError) as absent:
        await store.head(upload.target.key)
    assert absent.value.code == "STORE_OBJECT_MISSING"
    await store.abort(upload.target)


async def _held(store: Any, upload: Scenario) -> list[object]:
    try:
        return list(await store.held_segments(upload.target))
    except StoreError as error:
        assert error.code == "STORE_SESSION_LOST"  # noqa: PT017  # S3 has a session, Swift has none
        return []
