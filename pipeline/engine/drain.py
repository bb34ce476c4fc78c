"""Draining: requests to the store that are in flight when a run has to end are given time to complete.

Guarantee: no run reports its end while one of its requests may still be carried out, except a request that takes longer
than `DRAIN_SECONDS`. What the store receives after the upload was cleaned up would be an orphaned object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from pipeline.tasks import end_tasks, to_the_end

DRAIN_SECONDS = 5.0

T = TypeVar("T")


async def drain(tasks: Collection[asyncio.Task[Any]], seconds: float = DRAIN_SECONDS) -> None:
    """Wait for these tasks, then cancel those that are late. A caller that is cancelled meanwhile (its lease is lost,
    or the worker stops) still waits, and is cancelled afterwards."""
    await to_the_end(_drain(tasks, seconds))


async def drained(work: Coroutine[Any, Any, T], seconds: float = DRAIN_SECONDS) -> T:
    """The result of `work`; if the caller is cancelled, `work` is drained first."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            await drain([task], seconds)


async def _drain(tasks: Collection[asyncio.Task[Any]], seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
        await end_tasks(*tasks)
