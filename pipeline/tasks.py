"""Ending tasks: a task that is cancelled has ended when its caller continues.

Guarantee: a lost cancellation neither hangs the caller nor leaves the task running. `asyncio.wait_for`, with which
redis-py sends, loses one before Python 3.12 when its work is done at the same moment (cpython issue 86296), and drivers
lose one when they turn it into an error of their own. So a task is cancelled until it has ended.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN_SECONDS = 1.0


async def end_tasks(
    *tasks: asyncio.Future[Any] | None, again_seconds: float = AGAIN_SECONDS, most_seconds: float = math.inf
) -> bool:
    """Cancel `tasks` until all have ended; False: some still run after `most_seconds`. Their errors count as retrieved.
    A caller that is cancelled meanwhile still waits, and is cancelled afterwards.

    `again_seconds`: how long a task may take to clean up before it is cancelled again.
    """
    running = {task for task in tasks if task is not None and not task.done()}
    try:
        return not running or await to_the_end(_end(running, again_seconds, most_seconds))
    finally:
        for task in tasks:
            if task is not None and task.done() and not task.cancelled():
                task.exception()


async def to_the_end(work: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
    """The result of `work`. A caller that is cancelled meanwhile still waits, and is cancelled afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # marks it as retrieved
        raise cancelled
    return task.result()


async def _end(running: Collection[asyncio.Future[Any]], again_seconds: float, most_seconds: float) -> bool:
    now = asyncio.get_running_loop().time
    deadline = now() + most_seconds
    while True:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=max(0.0, min(again_seconds, deadline - now())))
        if not running or now() >= deadline:
            return not running
