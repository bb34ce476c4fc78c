"""What the notify worker does: it copies facts to the outbox and delivers events to webhooks.

It takes no jobs from a queue: signals and the clock start its loops. Each loop may run in several processes at once.
"""

from __future__ import annotations

import asyncio

from pipeline.bootstrap.notify import NotifyServices
from pipeline.bootstrap.redis import RedisParts
from pipeline.core.stages import WorkerType
from pipeline.tasks import to_the_end
from workers.loops import Loop, run_loops

_GATHER_SECONDS = 0.1
_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 10.0
_HOUR_SECONDS = 3600.0
_RETRY_SECONDS = 0.5
_RETRY_HOURLY_SECONDS = 5.0


async def run_notify(services: NotifyServices, redis: RedisParts, volume: str) -> None:
    """Run the loops until cancelled; deliveries that this interrupts are repeated at once."""
    deliveries = services.deliveries
    with redis.signals.waiter("queue", redis.keys.queue(WorkerType.NOTIFY, volume)) as wake_news:

        async def copy() -> None:
            # Facts of many uploads are copied together: each run costs some requests to Redis and PostgreSQL.
            await asyncio.sleep(_GATHER_SECONDS)
            wake_news.clear()
            if await services.news.run():
                deliveries.wake.set()

        loops = [
            Loop("news", copy, _TICK_SECONDS, _RETRY_SECONDS, wake_news),
            Loop("deliveries", deliveries.run, _TICK_SECONDS, _RETRY_SECONDS, deliveries.wake),
            Loop("webhooks", deliveries.sweep, _SWEEP_SECONDS, _TICK_SECONDS),
            Loop("purge-events", deliveries.purge, _HOUR_SECONDS, _RETRY_HOURLY_SECONDS),
        ]
        try:
            await run_loops(loops)
        finally:
            await to_the_end(deliveries.stop())
