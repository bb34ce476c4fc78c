"""Removes what is left of deleted contents: beside every admission worker, apart from its ticks, so that neither a slow
store nor a PostgreSQL that is away holds up admission. Many may run side by side."""

from __future__ import annotations

import asyncio
import time

from pipeline.bootstrap import WorkerServices
from pipeline.core.errors import SluiceError
from pipeline.telemetry import Log, logger

_SWEEP_SECONDS = 1.0
_AWAY_SECONDS = 5.0
_FORGET_SECONDS = 3600.0


async def run_leftovers(services: WorkerServices) -> None:
    """Sweep until cancelled."""
    forgot = 0.0
    while True:
        pause = _SWEEP_SECONDS
        try:
            await services.leftovers.sweep()
            if time.monotonic() - forgot >= _FORGET_SECONDS:
                await services.leftovers.forget()
                forgot = time.monotonic()
        except SluiceError as error:
            logger().warning(Log.TICK_FAILED, code=error.code, reason=error.message)
            pause = _AWAY_SECONDS
        except Exception:  # noqa: BLE001  # a bug with one leftover must not end the worker; the next sweep tries again
            logger().exception(Log.TICK_FAILED)
            pause = _AWAY_SECONDS
        await asyncio.sleep(pause)
