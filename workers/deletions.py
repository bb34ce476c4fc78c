"""Removes what is left of deleted contents, and once an hour what has strayed: beside every admission worker, apart
from its ticks, so that neither a slow store nor a PostgreSQL that is away holds up admission. Many may run side by
side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pipeline.bootstrap import WorkerServices
from pipeline.core.errors import SluiceError
from pipeline.telemetry import Log, logger

_SWEEP_SECONDS = 1.0
_AWAY_SECONDS = 5.0
_HOUR_SECONDS = 3600.0


async def run_deletions(services: WorkerServices) -> None:
    """Sweep until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_again(services.deletions.sweep, _SWEEP_SECONDS), name="leftovers-sweep")
        group.create_task(_again(services.deletions.purge, _HOUR_SECONDS), name="leftovers-forget")
        group.create_task(_again(services.orphaned_objects.sweep, _HOUR_SECONDS), name="strays")


async def _again(sweep: Callable[[], Awaitable[object]], pause_seconds: float) -> None:
    """Each by itself: one that waits for a store that is slow holds no other up."""
    while True:
        pause = pause_seconds
        try:
            await sweep()
        except SluiceError as error:
            logger().warning(Log.TICK_FAILED, code=error.code, reason=error.message)
            pause = min(pause, _AWAY_SECONDS)
        except Exception:  # noqa: BLE001  # a bug with one leftover must not end the worker; the next sweep tries again
            logger().exception(Log.TICK_FAILED)
            pause = max(pause, _AWAY_SECONDS)
        await asyncio.sleep(pause)
