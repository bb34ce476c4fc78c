"""`uploads.bytes` on a real board, temp volume and store: which bytes a reader gets, from where, and what it must wait
for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.core.errors import SegmentCorrupt, StageLost, StoreError, TempVolumeError
from pipeline.core.stored_objects import object_key
from pipeline.ports import Store
from pipeline.uploads.bytes import SMALL_BYTES, ObjectBytes, SegmentsMissing
from pipeline.uploads.target import target_of
from tests.contract.redis.scenes import LONG, MIB, SHORT, Scene, SealedOnly, opened
from tests.contract.redis.uploads import Play
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract


@pytest.fixture(params=[LONG, SHORT], ids=["long segments", "short segments"])
async def scene(request: pytest.FixtureRequest, play: Play, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(play, tmp_path, request.param) as made:
        yield made


@pytest.fixture(params=[LONG, SHORT], ids=["long segments", "short segments"])
async def windowed(request: pytest.FixtureRequest, play: Play, tmp_path: Path) -> AsyncIterator[Scene]:
    """With a window of three segments, of which the reader may hold two."""
    async with opened(play, tmp_path, request.param, window_bytes=3 * request.param) as made:
        yield made


async def test_any_range_of_what_has_arrived_is_read(scene: Scene) -> None:
    await scene.receive(2, 3, 4, 5)
    source, one = scene.bytes(), scene.upload.segment_bytes
    assert source.size_bytes == len(scene.data)
    for start, length in (
        (0, 1),
        (0, one),
        (one - 1, 2),
        (one - 10, one + 20),
        (4 * one, 1234),
        (len(scene.data) - 1, 1),
    ):
        assert await source.read(start, length) == scene.data[start : start + length], (start, length)
    assert await source.read(0, len(scene.data)) == scene.data
    assert not source.unverified


async def test_a_segment_that_is_no_longer_held_is_noticed(play: Play, tmp_path: Path) -> None:
    """Redis has come back without its last second, in which this run began to hold the segment: transfer releases it,
    and what the reader has got of it may be a hole."""
    async with opened(play, tmp_path, LONG, segments=6, received=2, window_bytes=4 * LONG) as scene:
        source = scene.bytes(store=SealedOnly(scene.store))
        assert await source.read(LONG, 10) == scene.segment(2)[:10]
        await source.require_unchanged()
        reads = f"{play.parts.keys.upload(scene.upload.upload_id)}:reads"
        await reply(play.parts.client.srem(reads, 2))
        await scene.stored(2)
        await scene.release(2)
        assert await source.read(LONG, 10) == bytes(10)
        with pytest.raises(SegmentsMissing) as missing:
            await source.require_unchanged()
        assert set(missing.value.numbers) == {2}


async def test_segments_that_have_not_arrived_are_named(scene: Scene) -> None:
    await scene.receive(3)
    source, one = scene.bytes(), scene.upload.segment_bytes
    with pytest.raises(SegmentsMissing) as missing:
        await source.read(one - 1, 3 * one)
    assert set(missing.value.numbers) == {2, 4}
    assert not missing.value.sealed
    assert await source.read(2 * one, 10) == scene.data[2 * one : 2 * one + 10]
    await scene.receive(2)
    assert await source.read(one - 1, 2) == scene.data[one - 1 : one + 1], "it has arrived since"


async def test_no_byte_of_a_changed_segment_is_read(scene: Scene) -> None:
    """The change is at the end of the segment, and the first byte is requested."""
    await scene.receive(2)
    one = scene.upload.segment_bytes
    await scene.volume.write(scene.upload.upload_id, 2 * one - 3, [b"***"], 0)
    source = scene.bytes()
    assert await source.read(0, 100) == scene.data[:100]
    with pytest.raises(SegmentCorrupt):
        await source.read(one, 1)
    assert set(await scene.play.segments.received(scene.upload.upload_id)) == {1}
    with pytest.raises(StageLost):
        await scene.play.stages.finish(scene.probe, {"of": "wrong bytes"})


async def test_a_run_that_was_taken_over_invalidates_nothing(scene: Scene) -> None:
    """The bytes that it reads may have been released by what came after it."""
    source = scene.bytes()
    await source._locate([1])
    await scene.play.stages.requeue(scene.probe)
    await scene.release(1)
    with pytest.raises(StageLost):
        await source.read(0, 1)
    assert set(await scene.play.segments.received(scene.upload.upload_id)) == {1}


async def test_bytes_that_have_left_the_temp_volume_are_read_from_the_store(scene: Scene) -> None:
    await scene.receive(2, 3)
    await scene.stored(1, 2)
    await scene.release(1, 2)
    source, one = scene.bytes(), scene.upload.segment_bytes
    assert await source.read(one - 5, one + 10) == scene.data[one - 5 : 2 * one + 5]
    assert source.unverified == (one > SMALL_BYTES), "a small segment is read whole and compared"
    await scene.store.abort(target_of(scene.upload))
    with pytest.raises(SegmentsMissing) as missing:
        await scene.bytes().read(0, 1)
    assert missing.value.sealed, "the manifest finds out what the store has lost"


async def test_a_segment_of_a_window_may_leave_the_temp_volume_while_it_is_read(windowed: Scene) -> None:
    """The reader does not hold it, so that it makes room as soon as it is stored."""
    source, one = windowed.bytes(), windowed.upload.segment_bytes
    for number in (1, 2, 3, 4):
        await windowed.receive(*({number} - {1}))
        assert await source.read((number - 1) * one, 100) == windowed.segment(number)[:100]
    assert await windowed.reads() == set()
    await windowed.stored(1, 2, 3)
    await windowed.release(1, 2, 3)
    for number in (1, 2, 3, 4):
        assert await source.read(number * one - 50, 50) == windowed.segment(number)[-50:]
    assert set(await windowed.play.segments.received(windowed.upload.upload_id)) == {1, 2, 3, 4}, "none is invalidated"


async def test_bytes_that_were_read_after_their_release_do_not_count(
    windowed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release comes between the moment in which the reader learns where a segment is and its reading."""
    await windowed.stored(1)
    source = windowed.bytes()
    read = windowed.volume.read

    async def released_first(upload_id: str, offset: int, size_bytes: int) -> bytes:
        await windowed.release(1)
        return await read(upload_id, offset, size_bytes)

    monkeypatch.setattr(windowed.volume, "read", released_first)
    assert await source.read(10, 100) == windowed.data[10:110]


async def test_a_small_segment_that_has_changed_in_the_store_is_no_proof(play: Play, tmp_path: Path) -> None:
    async with opened(play, tmp_path, SHORT) as scene:
        await scene.stored(1)
        await scene.release(1)
        (stored,) = [path for path in (tmp_path / "store").rglob("*") if path.stat().st_size == SHORT]
        stored.write_bytes(bytes(SHORT))
        source = scene.bytes()
        assert await source.read(0, 10) == bytes(10)
        assert source.unverified


async def test_a_store_that_cannot_read_segments_is_read_once_it_has_the_object(scene: Scene) -> None:
    await scene.receive(2, 3, 4, 5)
    await scene.stored(1)
    await scene.release(1)
    sealed_only, one = SealedOnly(scene.store), scene.upload.segment_bytes
    assert await scene.bytes(store=sealed_only).read(one, 5) == scene.data[one : one + 5], "on the temp volume"
    with pytest.raises(SegmentsMissing) as missing:
        await scene.bytes(store=sealed_only).read(0, 5)
    assert set(missing.value.numbers) == {1}
    assert missing.value.sealed
    await scene.volume.write(scene.upload.upload_id, 0, [scene.segment(1)], 0)  # as the client would send it again
    await scene.seal()
    await scene.release(1, 2, 3, 4, 5)
    assert await scene.bytes(store=sealed_only).read(one - 5, one) == scene.data[one - 5 : 2 * one - 5]


async def test_an_emptied_temp_volume_does_not_matter_for_what_is_stored(scene: Scene) -> None:
    await scene.receive(2)
    await scene.stored(1)
    await scene.volume.remove(scene.upload.upload_id)
    source, one = scene.bytes(), scene.upload.segment_bytes
    assert await source.read(10, 100) == scene.data[10:110]
    with pytest.raises((TempVolumeError, SegmentCorrupt)):
        await source.read(one, 1)


async def test_an_object_is_read_by_ranges_and_compared(scene: Scene) -> None:
    await scene.receive(2, 3, 4, 5)
    await scene.seal()
    key, one = object_key(scene.upload.upload_id), scene.upload.segment_bytes
    source = ObjectBytes(scene.store, key, len(scene.data), segment_bytes=one)
    assert await source.read(one - 5, one) == scene.data[one - 5 : 2 * one - 5]
    assert await source.read(0, len(scene.data)) == scene.data
    await source.require_unchanged()
    await scene.store.put_object(key, bytes(len(scene.data)), "video/mp4")
    with pytest.raises(StoreError) as changed:
        await source.require_unchanged()
    assert changed.value.code == "OBJECT_CHANGED"
    for size_bytes, etag in ((len(scene.data), "another"), (len(scene.data) - 1, None)):
        with pytest.raises(StoreError) as changed:
            await ObjectBytes(scene.store, key, size_bytes, etag=etag).read(0, 1)
        assert changed.value.code == "OBJECT_CHANGED"


async def test_an_object_that_becomes_shorter_while_it_is_read_has_changed(scene: Scene) -> None:
    await scene.receive(2, 3, 4, 5)
    await scene.seal()
    key, size_bytes = object_key(scene.upload.upload_id), len(scene.data)
    source = ObjectBytes(scene.store, key, size_bytes)
    if size_bytes > MIB:
        await source.read(0, 10)
        await scene.store.put_object(key, b"short", "video/mp4")
        with pytest.raises(StoreError) as changed:
            await source.read(size_bytes - 10, 10)
    else:  # it was read whole, by one request
        assert await source.read(0, 10) == scene.data[:10]
        await scene.store.put_object(key, b"short", "video/mp4")
        assert await source.read(size_bytes - 10, 10) == scene.data[-10:]
        with pytest.raises(StoreError) as changed:
            await source.require_unchanged()
    assert changed.value.code == "OBJECT_CHANGED"
    await scene.store.delete(key)
    with pytest.raises(StoreError) as gone:
        await ObjectBytes(scene.store, key, size_bytes).read(0, 1)
    assert gone.value.code == "STORE_OBJECT_MISSING"


async def test_an_object_that_is_replaced_while_it_is_read_is_noticed_at_the_next_range(scene: Scene) -> None:
    """By one of the same length, and before any byte of it is handed out."""
    await scene.receive(2, 3, 4, 5)
    await scene.seal()
    key, size_bytes = object_key(scene.upload.upload_id), len(scene.data)
    source = ObjectBytes(scene.store, key, size_bytes)
    assert await source.read(0, 10) == scene.data[:10]
    await scene.store.put_object(key, bytes(size_bytes), "video/mp4")
    if size_bytes > MIB:  # otherwise it was read whole, by one request
        with pytest.raises(StoreError) as changed:
            await source.read(size_bytes - 10, 10)
        assert changed.value.code == "OBJECT_CHANGED"


@dataclass
class OtherEtags:
    """A store whose responses to a range have another ETag than its HEAD has."""

    store: FilesystemObjectStore
    refused: int = 0

    def head(self, key: str) -> Any:
        return self.store.head(key)

    async def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> AsyncIterator[bytes]:
        if etag is not None:
            self.refused += 1
            raise StoreError("OBJECT_CHANGED", key=key)
        async for block in self.store.read(key, first, last):
            yield block


async def test_a_store_whose_ranges_have_another_etag_is_compared_by_head(scene: Scene) -> None:
    await scene.receive(2, 3, 4, 5)
    await scene.seal()
    key, size_bytes = object_key(scene.upload.upload_id), len(scene.data)
    store = OtherEtags(scene.store)
    source = ObjectBytes(cast(Store, store), key, size_bytes)
    for _ in range(2):
        assert await source.read(5, 10) == scene.data[5:15]
    assert store.refused == 1
    await source.require_unchanged()
    await scene.store.put_object(key, bytes(size_bytes), "video/mp4")
    with pytest.raises(StoreError) as changed:
        await source.require_unchanged()
    assert changed.value.code == "OBJECT_CHANGED"
