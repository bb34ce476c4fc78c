"""Work that loses cancellations, as `asyncio.wait_for` may before Python 3.12 when its own work ends at that moment."""

from __future__ import annotations

import asyncio


class LosesCancellations:
    """Runs until it is cancelled once more than `most_lost` times."""

    def __init__(self, most_lost: int = 1) -> None:
        self.most_lost = most_lost
        self.cancellations = 0
        self.running, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        while True:
            self.running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancellations += 1
                self.cancelled.set()
                if self.cancellations > self.most_lost:
                    raise

    async def started(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self())
        await self.running.wait()
        return task
