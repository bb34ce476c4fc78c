"""The limit on concurrent store transfers of a process (`SLUICE_STORE_CONCURRENCY`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.telemetry import LIMITER_DEMAND, LIMITER_SLOTS, LIMITER_USED


class SegmentLimiter:
    """At most `slots` segments at once over all uploads of a process, in order of arrival."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._semaphore = asyncio.Semaphore(slots)
        LIMITER_SLOTS.set(slots)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot for the length of the block."""
        with LIMITER_DEMAND.track_inprogress():
            await self._semaphore.acquire()
        try:
            with LIMITER_USED.track_inprogress():
                yield
        finally:
            self._semaphore.release()
