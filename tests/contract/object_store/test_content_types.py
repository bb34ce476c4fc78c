"""Contract: the type of a stored object is read, and changed where the store can do that."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StoreError
from pipeline.ports import ContentTypes
from tests.contract.object_store.uploads import Scenario, Store, content

pytestmark = pytest.mark.contract


def of_file(store: Store, content_type: str) -> str:
    """What HEAD returns for an object of this type; a plain file has none."""
    return "" if store.name == "filesystem" else content_type


@pytest.mark.parametrize("sizes", [(300,), None], ids=["plain", "manifest"])
async def test_head_returns_the_type(store: Store, sizes: tuple[int, ...] | None) -> None:
    upload = Scenario(store, sizes=sizes)
    await upload.sealed()
    assert (await store.head(upload.target.key)).content_type.partition(";")[0] == of_file(store, "video/mp4")


@pytest.mark.parametrize("sizes", [(300,), None], ids=["plain", "manifest"])
async def test_changing_the_type_changes_nothing_else(store: Store, sizes: tuple[int, ...] | None) -> None:
    assert isinstance(store, ContentTypes) == (store.name == "swift")
    if not isinstance(store, ContentTypes):
        return
    upload = Scenario(store, sizes=sizes)
    sealed = await upload.sealed()
    for _ in range(2):
        await store.set_content_type(upload.target.key, "video/webm")
        found = await store.head(upload.target.key)
        assert found.content_type == "video/webm"
        assert (found.size_bytes, found.etag) == (sealed.size_bytes, sealed.etag)
    assert await content(store, upload.target.key) == upload.data
    await store.delete(upload.target.key)  # a manifest still names its segments
    assert [name async for name in store.list_keys()] == []
    with pytest.raises(StoreError) as raised:
        await store.set_content_type(upload.target.key, "video/webm")
    assert raised.value.code == "STORE_OBJECT_MISSING"
