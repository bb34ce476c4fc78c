"""A deadline that holds for any coroutine.

`asyncio.timeout` cancels once and then waits: a driver that swallows that one cancellation would be waited for
indefinitely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CANCELLATIONS = 5
_SECONDS_EACH = 1.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises TimeoutError after `seconds`; work that ignores its cancellation adds up to 5 s."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if not done and not await _end(task):
        raise TimeoutError
    if task.cancelled():
        raise TimeoutError
    return task.result()


async def _end(task: asyncio.Task[Any]) -> bool:
    """Cancel `task` up to five times. Returns whether it has ended."""
    for _ in range(_CANCELLATIONS):
        task.cancel()
        if (await asyncio.wait({task}, timeout=_SECONDS_EACH))[0]:
            if not task.cancelled():
                task.exception()  # marks it as retrieved; nothing else reads it
            return True
    return False
