"""Listings that a store returns page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
CursorT = TypeVar("CursorT")


async def every_item(
    fetch: Callable[[CursorT | None], Awaitable[tuple[Sequence[ItemT], CursorT | None]]],
) -> AsyncIterator[ItemT]:
    """Every item of a listing, in its order; one page is held at a time.

    `fetch` returns a page and the cursor of the next one, None after the last. The first page is fetched with None.
    """
    cursor: CursorT | None = None
    while True:
        page, cursor = await fetch(cursor)
        for item in page:
            yield item
        if cursor is None:
            return
