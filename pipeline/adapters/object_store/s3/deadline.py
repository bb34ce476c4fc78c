"""A deadline that holds for any coroutine.

`asyncio.timeout` cancels once and then waits: a driver that swallows that one cancellation would be waited for
indefinitely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pipeline.tasks import end_tasks

T = TypeVar("T")

_END_SECONDS = 5.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises TimeoutError after `seconds`; work that ignores its cancellation adds up to 5 s."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await end_tasks(task, most_seconds=_END_SECONDS)
        raise
    if not done and not await end_tasks(task, most_seconds=_END_SECONDS):
        raise TimeoutError
    if task.cancelled():
        raise TimeoutError
    return task.result()
