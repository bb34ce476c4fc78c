"""One worker process: queue workers of the given types, or the admission worker's loops, until it is stopped.

Guarantee: after SIGTERM or SIGINT the process takes no more jobs; a running job finishes or its stage is requeued
within the shutdown time, so that another worker continues at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pipeline.adapters.arq.worker import QueueWorker
from pipeline.bootstrap import WorkerServices, worker_services
from pipeline.bootstrap.descriptors import raise_descriptor_limit
from pipeline.bootstrap.media import READING
from pipeline.core.stages import GRAPH, LOOPING, WorkerType
from pipeline.heap import return_free
from pipeline.logs import Log, configure_logging, logger
from pipeline.settings import Settings
from pipeline.tasks import end_tasks
from pipeline.tracing import exporting
from workers.metrics import heartbeat, serve_metrics

# A drained worker and a cancelled loop end at once, unless they wait for Redis.
_LOOP_SECONDS = 1.0
# The reader's lanes bound the CPU that jobs use. Those that wait for it are ready to run when a slot is free, and those
# that have a frame store it meanwhile; more would be taken from other processes that have free slots.
_JOBS_PER_MEDIA_SLOT = 4
# The engine's own timeout comes first and says what timed out.
_BEHIND_ENGINE_SECONDS = 60.0


def _queue_worker(services: WorkerServices, settings: Settings, kind: WorkerType) -> QueueWorker:
    media = services.media if kind in READING else None
    longest_seconds = max(spec.timeout_seconds for spec in GRAPH.values() if spec.worker is kind)
    worker = QueueWorker(
        services.redis_url,
        services.redis.keys.queue(kind, settings.volume),
        services.engine.run,
        services.redis.signals,
        settings.stage_concurrency if media is None else settings.media_concurrency * _JOBS_PER_MEDIA_SLOT,
        longest_seconds + _BEHIND_ENGINE_SECONDS,
        (lambda: 0) if media is None else media.deferred.count,
    )
    if media is not None:
        media.deferred.listeners.append(worker.wake)
    return worker


async def run_workers(
    settings: Settings, types: Sequence[WorkerType], ready: Callable[[str], None] | None = None
) -> None:
    """Run one process with workers of the given types until SIGTERM or SIGINT. `ready` gets the URL of its metrics."""
    configure_logging(settings.log_format, settings.log_level)
    raise_descriptor_limit()
    log = logger(workers=[str(kind) for kind in types])
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with (
        exporting(settings.traces, "sluice-worker"),
        worker_services(settings, types) as services,
        serve_metrics(settings, services) as url,
    ):
        workers = [_queue_worker(services, settings, kind) for kind in types if kind not in LOOPING]
        log.info(Log.STARTED, metrics=url, name=services.name)
        if ready:
            ready(url)
        loops = {"heartbeat": heartbeat(services, types, url)}
        if services.admission is not None:
            from workers.admission import run_admission

            loops["admission"] = run_admission(services.admission, services.redis, settings.volume)
        if services.notify is not None:
            from workers.notify import run_notify

            loops["notify"] = run_notify(services.notify, services.redis, settings.volume)
        return_free()  # what was needed to start
        await _run_until_stopped(services, workers, loops, stop, settings.shutdown_seconds)


async def _run_until_stopped(
    services: WorkerServices,
    workers: Sequence[QueueWorker],
    loops: dict[str, Coroutine[Any, Any, None]],
    stop: asyncio.Event,
    shutdown_seconds: float,
) -> None:
    """Run until `stop` is set or one of them ends, then drain. Raises what one of them raised."""
    polls = [asyncio.create_task(worker.main(), name=worker.queue_name) for worker in workers]
    tasks = [*polls, *(asyncio.create_task(work, name=name) for name, work in loops.items())]
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    logger().info(Log.STOPPING)
    services.engine.stop.set()
    end = asyncio.get_running_loop().time() + shutdown_seconds
    await asyncio.gather(*(worker.drain(shutdown_seconds) for worker in workers))
    if polls:
        left_seconds = max(_LOOP_SECONDS, end - asyncio.get_running_loop().time())
        await asyncio.wait(polls, timeout=left_seconds)
    await end_tasks(stopping, *tasks)
    for worker in workers:
        await worker.disconnect()
    for task in tasks:
        if not task.cancelled():
            task.result()
