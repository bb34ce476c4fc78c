"""Contract: stored objects are read back, whole or in part, under any name."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StoreError
from tests.contract.object_store.uploads import Scenario, Store, content, keys

pytestmark = pytest.mark.contract

KEYS = [
    "plain",
    "contents/0190-abc/original",
    "Filme/Übung \N{CLAPPER BOARD} ноль.mp4",
    "with space and  two",
    "query?a=b&c=d",
    "fragment#1",
    "percent%41%2F%zz",
    "a+b=c;d,e'f\"g",
    "dots/../up",
    "..",
    "./here",
    "semi:colon",
    "tail.",
    "x" * 900,
]


@pytest.mark.parametrize("key", KEYS, ids=[ascii(key[:24]) for key in KEYS])
async def test_a_key_is_listed_unchanged(store: Store, key: str) -> None:
    single = Scenario(store, key=key, sizes=(300,))
    await single.sealed()
    assert await keys(store) == [key]
    assert await content(store, key) == single.data
    assert (await store.head(key)).key == key
    await store.delete(key)
    assert await keys(store) == []


@pytest.mark.parametrize("key", [KEYS[2], KEYS[6], KEYS[8]], ids=["unicode", "percent", "dots"])
async def test_a_manifest_may_have_any_key(store: Store, key: str) -> None:
    upload = Scenario(store, key=key)
    await upload.sealed()
    assert await content(store, key) == upload.data
    await store.abort(upload.target)
    assert await keys(store) == []


async def test_ranges_may_cross_segments(store: Store) -> None:
    upload = Scenario(store)
    await upload.sealed()
    one, whole = upload.sizes[0], len(upload.data)
    ranges: list[tuple[int, int | None]] = [
        (0, None),
        (0, 0),
        (0, whole - 1),
        (one - 1, one),
        (one, one),
        (one - 10, 2 * one + 10),
        (whole - 1, None),
        (whole - 1, whole - 1),
        (whole - 100, whole + 1_000_000),
        (5, None),
    ]
    for first, last in ranges:
        end = whole if last is None else last + 1
        assert await content(store, upload.target.key, first, last) == upload.data[first:end], (first, last)


async def test_blocks_are_bounded(store: Store) -> None:
    upload = Scenario(store, sizes=(5 * 1024 * 1024,))
    await upload.sealed()
    lengths = [len(block) async for block in store.read(upload.target.key)]
    assert sum(lengths) == upload.sizes[0]
    assert max(lengths) <= 1024 * 1024


async def test_a_read_may_be_abandoned(store: Store) -> None:
    upload = Scenario(store, sizes=(5 * 1024 * 1024,))
    await upload.sealed()
    blocks = store.read(upload.target.key)
    first = await anext(blocks)
    await blocks.aclose()  # type: ignore[attr-defined]
    assert upload.data.startswith(first)
    assert await content(store, upload.target.key) == upload.data


async def test_a_range_beyond_the_end_is_refused(store: Store) -> None:
    upload = Scenario(store, sizes=(100,))
    await upload.sealed()
    with pytest.raises(StoreError) as refused:
        await content(store, upload.target.key, 100)
    assert refused.value.code == "STORE_REJECTED"


async def test_an_object_that_does_not_exist_is_missing(store: Store) -> None:
    for request in (content(store, "nothing"), store.head("nothing")):
        with pytest.raises(StoreError) as missing:
            await request
        assert missing.value.code == "STORE_OBJECT_MISSING"
        assert missing.value.detail["key"] == "nothing"


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"thumbnail" * 10_000, b"thumbnail" * 150_000],
    ids=["empty", "byte", "large", "longer than a mebibyte"],  # aiohttp warns of longer bodies that are not in blocks
)
async def test_a_small_object_is_stored_whole(store: Store, body: bytes) -> None:
    stored = await store.put_object("contents/a/thumbnail.jpg", body, "image/jpeg")
    assert stored.size_bytes == len(body)
    assert await content(store, "contents/a/thumbnail.jpg") == body
    assert await store.head("contents/a/thumbnail.jpg") == stored


async def test_a_small_object_can_be_put_again(store: Store) -> None:
    await store.put_object("small", b"one", "text/plain")
    again = await store.put_object("small", b"two", "text/plain")
    assert await content(store, "small") == b"two"
    assert await store.head("small") == again


async def test_a_small_object_replaces_a_manifest_of_its_name(store: Store) -> None:
    upload = Scenario(store)
    await upload.sealed()
    await store.put_object(upload.target.key, b"small", "text/plain")
    assert await content(store, upload.target.key) == b"small"
    assert [key for key in await keys(store) if not key.startswith("segment:")] == [upload.target.key]
