"""`Downloads.blocks`: exactly the requested bytes, also from a store that disconnects or stalls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from pipeline.contents.downloads import DownloadRules, Downloads, may_be_shown
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.ports import ContentRepository, KnownStores, Stores
from schemas.content import ContentObject

pytestmark = pytest.mark.unit

DATA = bytes(range(256)) * 10
STORED = ContentObject(store="s", container="c", key="k", size_bytes=len(DATA), etag="e", segment_count=1)


class FaultyStore:
    """A store with one object. `fault(reads, position)` is called before each block: it raises, or returns "end" (the
    body ends early) or "stall" (no more bytes arrive)."""

    def __init__(self, fault: Callable[[int, int], object], block_bytes: int = 100) -> None:
        self.reads: list[tuple[int, int | None]] = []
        self.open = 0
        self._fault = fault
        self._block_bytes = block_bytes

    def named(self, name: str) -> Any:
        assert name == "s"
        return self

    def within(self, container: str) -> FaultyStore:
        assert container == "c"
        return self

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append((first, last))
        self.open += 1
        try:
            end = len(DATA) if last is None else last + 1
            for start in range(first, end, self._block_bytes):
                fault = self._fault(len(self.reads), start)
                if fault == "end":
                    return
                if fault == "stall":
                    await asyncio.Event().wait()
                yield DATA[start : min(end, start + self._block_bytes)]
        finally:
            self.open -= 1


def downloads(store: FaultyStore, stall_seconds: float = 5) -> Downloads:
    known = cast(KnownStores, None)  # nothing is presigned here
    return Downloads(cast(ContentRepository, None), cast(Stores, store), known, DownloadRules(60, stall_seconds))


async def read(store: FaultyStore, first: int = 0, last: int = len(DATA) - 1, **more: float) -> bytes:
    return b"".join([block async for block in downloads(store, **more).blocks(STORED, first, last)])


async def test_the_requested_bytes_are_returned() -> None:
    store = FaultyStore(lambda *_: None)
    assert await read(store) == DATA
    assert await read(store, 5, 304) == DATA[5:305]
    assert store.reads == [(0, None), (5, 304)]
    assert store.open == 0


async def test_an_interrupted_read_resumes_at_its_position() -> None:
    def fault(reads: int, position: int) -> object:
        if reads == 1 and position == 300:
            raise StoreUnavailable(reason="reset")
        return "end" if reads == 2 and position == 700 else None

    store = FaultyStore(fault)
    assert await read(store, 0, 1999) == DATA[:2000]
    assert store.reads == [(0, 1999), (300, 1999), (700, 1999)]


async def test_a_stalled_read_resumes_at_its_position() -> None:
    store = FaultyStore(lambda reads, position: "stall" if reads == 1 and position == 300 else None)
    assert await read(store, stall_seconds=0.05) == DATA
    assert store.reads == [(0, None), (300, None)]
    assert store.open == 0


async def test_an_unavailable_store_is_tried_four_times() -> None:
    def unavailable(*_: int) -> object:
        raise StoreUnavailable(reason="503", retry_after_seconds=0.01)

    store = FaultyStore(unavailable)
    with pytest.raises(StoreUnavailable):
        await read(store)
    assert len(store.reads) == 4


async def test_a_missing_object_is_not_retried() -> None:
    def missing(*_: int) -> object:
        raise StoreError("STORE_OBJECT_MISSING", key="k")

    store = FaultyStore(missing)
    with pytest.raises(StoreError):
        await read(store)
    assert len(store.reads) == 1


async def test_closing_the_iterator_early_closes_the_store_connection() -> None:
    store = FaultyStore(lambda *_: None)
    blocks = downloads(store).blocks(STORED, 0, len(DATA) - 1)
    assert await anext(blocks) == DATA[:100]
    assert store.open == 1
    await blocks.aclose()  # type: ignore[attr-defined]
    assert store.open == 0


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("video/mp4", True), ("Image/JPEG", True), ("audio/ogg", True), ("image/svg+xml", False), ("text/html", False)],
)
def test_only_types_that_cannot_run_scripts_are_shown_inline(content_type: str, shown: bool) -> None:
    assert may_be_shown(content_type) is shown
