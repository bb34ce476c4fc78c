"""A store that breaks off, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from pipeline.contents.downloads import DownloadRules, Downloads, may_be_shown
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.ports import ContentRepository, Stores
from schemas.content import ContentObject

pytestmark = pytest.mark.unit

DATA = bytes(range(256)) * 10
STORED = ContentObject(store="s", container="c", key="k", size_bytes=len(DATA), etag="e", segment_count=1)


class Breaking:
    """A store of one object. `fault(reads, position)` is asked before each block and raises, or hands out less."""

    def within(self, container: str) -> Breaking:
        return self

    def __init__(self, fault: Callable[[int, int], object], block_bytes: int = 100) -> None:
        self.reads: list[tuple[int, int | None]] = []
        self.open = 0
        self._fault = fault
        self._block_bytes = block_bytes

    def named(self, name: str) -> Any:
        assert name == "s"
        return self

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append((first, last))
        self.open += 1
        try:
            end = len(DATA) if last is None else last + 1
            for start in range(first, end, self._block_bytes):
                if self._fault(len(self.reads), start) == "end":
                    return
                if self._fault(len(self.reads), start) == "silence":
                    await asyncio.Event().wait()
                yield DATA[start : min(end, start + self._block_bytes)]
        finally:
            self.open -= 1


def downloads(store: Breaking, stall_seconds: float = 5) -> Downloads:
    return Downloads(cast(ContentRepository, None), cast(Stores, store), DownloadRules(60, stall_seconds))


async def read(store: Breaking, first: int = 0, last: int = len(DATA) - 1, **more: float) -> bytes:
    return b"".join([block async for block in downloads(store, **more).blocks(STORED, first, last)])


async def test_what_was_asked_for_comes() -> None:
    store = Breaking(lambda *_: None)
    assert await read(store) == DATA
    assert await read(store, 5, 304) == DATA[5:305]
    assert store.reads == [(0, None), (5, 304)]
    assert store.open == 0


async def test_it_goes_on_where_the_store_broke_off() -> None:
    def fault(reads: int, position: int) -> object:
        if reads == 1 and position == 300:
            raise StoreUnavailable(reason="reset")
        return "end" if reads == 2 and position == 700 else None

    store = Breaking(fault)
    assert await read(store, 0, 1999) == DATA[:2000]
    assert store.reads == [(0, 1999), (300, 1999), (700, 1999)]


async def test_a_silent_store_is_asked_again() -> None:
    store = Breaking(lambda reads, position: "silence" if reads == 1 and position == 300 else None)
    assert await read(store, stall_seconds=0.05) == DATA
    assert store.reads == [(0, None), (300, None)]
    assert store.open == 0


async def test_a_store_that_is_away_is_given_up() -> None:
    def away(*_: int) -> object:
        raise StoreUnavailable(reason="away", retry_after_seconds=0.01)

    store = Breaking(away)
    with pytest.raises(StoreUnavailable):
        await read(store)
    assert len(store.reads) == 4


async def test_a_refusal_is_final() -> None:
    def refuse(*_: int) -> object:
        raise StoreError("STORE_OBJECT_MISSING", key="k")

    store = Breaking(refuse)
    with pytest.raises(StoreError):
        await read(store)
    assert len(store.reads) == 1


async def test_leaving_early_lets_the_store_go() -> None:
    store = Breaking(lambda *_: None)
    blocks = downloads(store).blocks(STORED, 0, len(DATA) - 1)
    assert await anext(blocks) == DATA[:100]
    assert store.open == 1
    await blocks.aclose()  # type: ignore[attr-defined]
    assert store.open == 0


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("video/mp4", True), ("Image/JPEG", True), ("audio/ogg", True), ("image/svg+xml", False), ("text/html", False)],
)
def test_only_what_cannot_run_is_shown_in_place(content_type: str, shown: bool) -> None:
    assert may_be_shown(content_type) is shown
