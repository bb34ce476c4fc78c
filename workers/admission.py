"""The admission worker: lets uploads in as room comes free, takes over what is not heard of, removes what has ended.

It takes no jobs from a queue: it acts on signals and, once a second, on the clock. Many may run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from pipeline.bootstrap import WorkerServices
from pipeline.core.errors import SluiceError
from pipeline.core.stages import WorkerType
from pipeline.telemetry import Log, logger

_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 10.0
_AWAY_SECONDS = 0.5


async def run_admission(services: WorkerServices, volume: str) -> None:
    """Take over, tick and clean up, side by side, until cancelled: a slow disk must not hold up take-over, nor a store
    that is slow to let go of what has ended admission."""
    queue = services.redis.keys.queue(WorkerType.ADMISSION, volume)
    swept = 0.0

    async def tick() -> None:
        nonlocal swept
        await services.upkeep.tick()
        if time.monotonic() - swept >= _SWEEP_SECONDS:
            await services.upkeep.sweep()
            swept = time.monotonic()

    with (
        services.redis.signals.waiter("queue", queue) as wake_tick,
        services.redis.signals.waiter("queue", queue) as wake_clean,
    ):

        async def clean() -> None:
            if await services.cleanups.run():
                wake_tick.set()  # there is room now

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_again_and_again(services.takeover.run, asyncio.Event(), volume))
                group.create_task(_again_and_again(tick, wake_tick, volume))
                group.create_task(_again_and_again(clean, wake_clean, volume))
        finally:
            await services.cleanups.stop()


async def _again_and_again(work: Callable[[], Awaitable[None]], wake: asyncio.Event, volume: str) -> None:
    """Whenever it is woken, and once a second. No failure ends it: the next time tries again."""
    log = logger(volume=volume)
    while True:
        wake.clear()
        try:
            await work()
        except SluiceError as error:
            log.warning(Log.TICK_FAILED, code=error.code, reason=error.message)
            await asyncio.sleep(_AWAY_SECONDS)
        except Exception:  # a bug in a sweep must not stop admission
            log.exception(Log.TICK_FAILED)
            await asyncio.sleep(_AWAY_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_SECONDS):
                await wake.wait()
