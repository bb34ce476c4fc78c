"""Landing: what is on its way to the store when a run has to end is given time to arrive.

Guarantee: nobody is told that a run is over while a request of it may still be carried out, but for one that takes
longer than `LANDING_SECONDS`. What the store takes after its upload was cleaned up would belong to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

LANDING_SECONDS = 5.0

T = TypeVar("T")


async def land(flying: Collection[asyncio.Task[Any]]) -> None:
    """Wait for these, then cancel what is late. Who is cancelled meanwhile (the heartbeat finds the lease lost, the
    worker has to end) still waits for that, and is cancelled then."""
    landing = asyncio.ensure_future(_landed(flying))
    cancelled: asyncio.CancelledError | None = None
    while not landing.done():
        try:
            await asyncio.shield(landing)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def landed(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises; where the caller is cancelled, `work` may land first."""
    flying = asyncio.create_task(work)
    try:
        return await asyncio.shield(flying)
    finally:
        if not flying.done():
            await land([flying])


async def _landed(flying: Collection[asyncio.Task[Any]]) -> None:
    if not flying:
        return
    _, late = await asyncio.wait(flying, timeout=LANDING_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*flying, return_exceptions=True)
