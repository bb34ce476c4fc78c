"""Supervised loops: work that a worker process repeats until it stops.

Guarantee: no failure of the work ends its loop, and loops do not hold each other up. A failure is logged; the work runs
again after a pause, and what it left undone is found then. A loop ends only by cancellation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from pipeline.core.errors import SluiceError
from pipeline.logs import Log, logger
from pipeline.tasks import end_tasks


@dataclass(frozen=True, slots=True)
class Loop:
    """Calls `work` every `every_seconds`, and whenever `wake` is set; `retry_seconds` after a failure.

    A SluiceError (a dependency is unavailable) is logged as a warning. Any other exception is a bug: it is logged with
    its traceback, and the pause is at least `every_seconds`.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    every_seconds: float
    retry_seconds: float
    wake: asyncio.Event | None = None


async def run_loops(loops: Iterable[Loop]) -> None:
    """Run all loops side by side until cancelled."""
    tasks = [asyncio.create_task(_run(loop), name=loop.name) for loop in loops]
    try:
        await asyncio.wait(tasks)
    finally:
        await end_tasks(*tasks)


async def _run(loop: Loop) -> None:
    log = logger(loop=loop.name)
    wake = loop.wake or asyncio.Event()
    while True:
        wake.clear()
        try:
            await loop.work()
        except SluiceError as error:
            log.warning(Log.TICK_FAILED, code=error.code, reason=error.message)
            await asyncio.sleep(loop.retry_seconds)
        except Exception:  # a bug in one loop must not end the worker
            log.exception(Log.TICK_FAILED)
            await asyncio.sleep(max(loop.retry_seconds, loop.every_seconds))
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(loop.every_seconds):
                    await wake.wait()
