"""Waiting for changes of an upload with a time limit, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

from pipeline.ports import EventFeed
from pipeline.tasks import end_tasks


@asynccontextmanager
async def changes_of(
    feed: EventFeed, upload_id: str, kinds: Collection[str] | None = None
) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """Yields a function that waits until the upload has changed, or for so many seconds. `kinds`: see `EventFeed`."""
    async with feed.watch(upload_id, kinds) as changes:
        changed: asyncio.Task[None] = asyncio.ensure_future(anext(changes))

        async def wait(seconds: float) -> None:
            nonlocal changed
            await asyncio.wait({changed}, timeout=max(0.0, seconds))
            if changed.done():
                changed.result()
                changed = asyncio.ensure_future(anext(changes))

        try:
            yield wait
        finally:
            await end_tasks(changed)
