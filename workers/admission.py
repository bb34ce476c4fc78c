"""What the admission worker does: it admits uploads, takes over stages and removes what has ended.

It takes no jobs from a queue: signals and the clock start its loops. Each loop may run in several processes at once.
They are separate so that a slow disk delays no take-over, and a slow store or PostgreSQL delays no admission.
"""

from __future__ import annotations

from pipeline.bootstrap.admission import AdmissionServices
from pipeline.bootstrap.redis import RedisParts
from pipeline.core.stages import WorkerType
from workers.loops import Loop, run_loops

_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 10.0
_SAMPLE_SECONDS = 2.0
_HOUR_SECONDS = 3600.0
# Why the scripts wake an admission worker; those of the release before gave no reason.
_ROOM = frozenset({"room", ""})
_ENDED = frozenset({"ended", ""})
_RETRY_SECONDS = 0.5
_RETRY_HOURLY_SECONDS = 5.0


async def run_admission(services: AdmissionServices, redis: RedisParts, volume: str) -> None:
    """Run the loops until cancelled."""
    queue, signals = redis.keys.queue(WorkerType.ADMISSION, volume), redis.signals
    with (
        signals.waiter("queue", queue, _ROOM) as wake_tick,
        signals.waiter("queue", queue, _ENDED) as wake_clean,
    ):

        async def sample() -> None:
            await redis.samples.keep(volume)

        loops = [
            Loop("take-over", services.takeover.run, _TICK_SECONDS, _RETRY_SECONDS),
            Loop("admission", services.upkeep.tick, _TICK_SECONDS, _RETRY_SECONDS, wake_tick),
            Loop("release", services.release.run_due, _TICK_SECONDS, _RETRY_SECONDS),
            Loop("cleaning", services.cleanups.run, _TICK_SECONDS, _RETRY_SECONDS, wake_clean),
            Loop("samples", sample, _SAMPLE_SECONDS, _TICK_SECONDS),
            Loop("sweep", services.upkeep.sweep, _SWEEP_SECONDS, _TICK_SECONDS),
            Loop("deletions", services.deletions.sweep, _TICK_SECONDS, _TICK_SECONDS),
            Loop("measure-deletions", services.deletions.measure, _SWEEP_SECONDS, _SWEEP_SECONDS),
            Loop("purge-deletions", services.deletions.purge, _HOUR_SECONDS, _RETRY_HOURLY_SECONDS),
            Loop("orphaned-objects", services.orphaned_objects.sweep, _HOUR_SECONDS, _RETRY_HOURLY_SECONDS),
        ]
        try:
            await run_loops(loops)
        finally:
            await services.cleanups.stop()
