"""A deadline that holds whatever is waited for.

`asyncio.timeout` asks once for an end, and then waits for what it has asked: a driver that swallows that one request
would be waited for without an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_ASKED = 5
_SECONDS_EACH = 1.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises TimeoutError after `seconds`, and some more for work that does not end when it is
    asked to."""
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
    """Cancel it, again and again; whether it has ended."""
    for _ in range(_ASKED):
        task.cancel()
        if (await asyncio.wait({task}, timeout=_SECONDS_EACH))[0]:
            if not task.cancelled():
                task.exception()  # looked at: nobody waits for it
            return True
    return False
