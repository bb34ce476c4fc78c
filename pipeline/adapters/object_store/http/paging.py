"""Listings that a store returns page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from pipeline.adapters.object_store.http.bodies import unusable

ItemT = TypeVar("ItemT")
CursorT = TypeVar("CursorT", bound=Hashable)


async def every_item(
    fetch: Callable[[CursorT | None], Awaitable[tuple[Sequence[ItemT], CursorT | None]]], what: str
) -> AsyncIterator[ItemT]:
    """Every item of a listing, in its order; one page is held at a time.

    `fetch` returns a page and the cursor of the next one, None after the last. The first page is fetched with None.
    Raises StoreUnavailable when a cursor comes back: the store ignores it, and the listing would never end.
    """
    cursor: CursorT | None = None
    seen: set[CursorT] = set()
    while True:
        page, cursor = await fetch(cursor)
        for item in page:
            yield item
        if cursor is None:
            return
        if cursor in seen:
            raise unusable(what, f"the page after {cursor!a} comes again")
        seen.add(cursor)
