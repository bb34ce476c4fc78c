"""Contract: removal leaves nothing behind, and a listing is complete."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StoreError
from tests.contract.object_store.uploads import Scenario, Store, content, keys

pytestmark = pytest.mark.contract


async def test_abort_of_nothing_is_a_success(store: Store) -> None:
    await store.abort(Scenario(store).target)
    assert await keys(store) == []


async def test_abort_after_begin(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await store.abort(upload.target)
    assert await keys(store) == []


async def test_abort_removes_segments_of_an_upload_that_was_not_sealed(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put(1, 3)
    assert await keys(store) != []
    await store.abort(upload.target)
    assert await keys(store) == []
    await store.abort(upload.target)


@pytest.mark.parametrize("sizes", [None, (5000,)], ids=["manifest", "plain"])
async def test_abort_after_seal_removes_everything(store: Store, sizes: tuple[int, ...] | None) -> None:
    upload = Scenario(store, sizes=sizes)
    await upload.sealed()
    await store.abort(upload.target)
    assert await keys(store) == []
    with pytest.raises(StoreError):
        await store.head(upload.target.key)


async def test_abort_leaves_other_uploads_alone(store: Store) -> None:
    kept = Scenario(store, upload_id="upload-10", key="kept")
    await kept.begin()
    gone = Scenario(store, upload_id="upload-1", key="gone")
    await gone.begin()
    await gone.put()
    segments = await kept.put()
    await store.abort(gone.target)
    await store.seal(kept.target, segments)
    assert await content(store, "kept") == kept.data


async def test_abort_needs_only_the_target(store: Store) -> None:
    """Expiry knows neither which segments were stored nor, perhaps, the session."""
    upload = Scenario(store)
    await upload.begin()
    await upload.put()
    await store.abort(Scenario(store, upload_id=upload.target.upload_id).target)
    assert await keys(store) == []


async def test_after_abort_the_upload_can_start_again(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put(1)
    await store.abort(upload.target)
    await upload.sealed()
    assert await content(store, upload.target.key) == upload.data


@pytest.mark.parametrize("sizes", [None, (5000,), (0,)], ids=["manifest", "plain", "empty"])
async def test_delete_removes_the_object_and_its_segments(store: Store, sizes: tuple[int, ...] | None) -> None:
    upload = Scenario(store, sizes=sizes)
    await upload.sealed()
    await store.delete(upload.target.key)
    assert await keys(store) == []
    await store.delete(upload.target.key)


async def test_delete_of_nothing_is_a_success(store: Store) -> None:
    await store.delete("contents/nothing/original")


async def test_delete_leaves_others_alone(store: Store) -> None:
    gone, kept = Scenario(store), Scenario(store)
    await gone.sealed()
    await kept.sealed()
    await store.delete(gone.target.key)
    assert await content(store, kept.target.key) == kept.data


async def test_every_listed_name_can_be_deleted(store: Store) -> None:
    """A sweep removes orphaned objects in this way, from any store."""
    half = Scenario(store, key="half/done: 50 %")
    await half.begin()
    await half.put(1, 2)
    await Scenario(store).sealed()
    while listed := await keys(store):
        await store.delete(listed[0])
    assert await keys(store) == []


async def test_a_listing_shows_the_segments_of_an_upload_in_flight(store: Store) -> None:
    upload = Scenario(store)
    await upload.begin()
    await upload.put(1)
    listed = await keys(store)
    assert upload.target.key not in listed
    assert any(upload.target.upload_id in name for name in listed)
    assert all(name.startswith(("segment:", "multipart:")) for name in listed)


async def test_a_listing_can_be_narrowed_by_prefix(store: Store) -> None:
    for key in ("a/1", "a/2", "b/1", "segmental"):
        await store.put_object(key, b"x", "text/plain")
    assert await keys(store, "a/") == ["a/1", "a/2"]
    assert await keys(store, "b") == ["b/1"]
    assert await keys(store, "seg") == ["segmental"]
    assert await keys(store, "none") == []
    assert sorted(await keys(store)) == ["a/1", "a/2", "b/1", "segmental"]


async def test_check_names_the_store_and_leaves_nothing(store: Store) -> None:
    sentence = await store.check()
    assert len(sentence) > 20
    assert await keys(store) == []
