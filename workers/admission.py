"""The admission worker: lets uploads in as room comes free, takes over what is not heard of, removes what has ended.

It takes no jobs from a queue: it acts on signals and, once a second, on the clock. Many may run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from pipeline.bootstrap import WorkerServices
from pipeline.core.errors import SluiceError
from pipeline.core.stages import WorkerType
from pipeline.telemetry import Log, logger

_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 10.0
_AWAY_SECONDS = 0.5


async def run_admission(services: WorkerServices, volume: str) -> None:
    """Tick until cancelled."""
    log = logger(volume=volume)
    queue = services.redis.keys.queue(WorkerType.ADMISSION, volume)
    swept = 0.0
    with services.redis.signals.waiter("queue", queue) as wake:
        while True:
            wake.clear()
            try:
                await services.reaper.tick()
                if time.monotonic() - swept >= _SWEEP_SECONDS:
                    await services.reaper.sweep()
                    swept = time.monotonic()
            except SluiceError as error:
                log.warning(Log.TICK_FAILED, code=error.code, reason=error.message)
                await asyncio.sleep(_AWAY_SECONDS)
            except Exception:  # a bug in a sweep must not stop admission; the next tick tries again
                log.exception(Log.TICK_FAILED)
                await asyncio.sleep(_AWAY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await wake.wait()
