"""The workers' runtime: arq carries jobs to the engine. With the queue adapter, the only place that knows arq.

Guarantee: a job starts within milliseconds of being enqueued (a published signal wakes the worker; polling is the
fallback); Redis going away does not end the worker; SIGTERM stops it from taking work and lets what runs finish, or be
handed back, within a set grace.

What is taken from arq is carrying, locking and bounding jobs. Retries, leases, timeouts and take-over are the engine's
and the board's, because arq would wait for its longest job timeout before it runs a dead worker's job again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from typing import Any

from arq.worker import Function, Worker, func
from redis.exceptions import RedisError

from pipeline.adapters.arq.queue import FUNCTION, arq_client, deserialize, read_job, serialize
from pipeline.bootstrap import WorkerServices, worker_services
from pipeline.core.stages import GRAPH, WorkerType
from pipeline.settings import Settings
from pipeline.telemetry import Log, configure_logging, logger
from workers.admission import run_admission
from workers.deletions import run_deletions
from workers.metrics import heartbeat, serve_metrics

# The fallback for a signal that went missing.
_POLL_SECONDS = 1.0
_REDIS_RETRY_SECONDS = 0.5
# The loops themselves end at once, unless Redis is away.
_LOOP_SECONDS = 1.0
# Of the grace after SIGTERM, for handing back what did not finish: segments in the air are given 5 s to land.
_HAND_BACK_SECONDS = 6.0
# arq counts running jobs of all workers into what one poll reads: far above what a cell runs at once.
_QUEUE_READ_LIMIT = 2_000
# arq takes from its semaphore what it may not give back when Redis fails; `job_counter` is what bounds the jobs.
_UNBOUNDED = 2**31


class QueueWorker(Worker):
    """arq's worker for one queue, woken by signals and not ended by Redis' absence."""

    def __init__(self, services: WorkerServices, queue: str, max_jobs: int, timeout_seconds: float) -> None:
        async def run_stage(ctx: dict[Any, Any], upload_id: str, stage: str, fencing_token: int, volume: str) -> None:
            with contextlib.suppress(asyncio.CancelledError):  # the engine has handed the stage back by then
                await services.engine.run(read_job(upload_id, stage, fencing_token, volume))

        function: Function = func(run_stage, name=FUNCTION, keep_result=0, timeout=timeout_seconds, max_tries=1)
        super().__init__(
            functions=[function],
            queue_name=queue,
            redis_pool=arq_client(services.redis_url),
            handle_signals=False,
            max_jobs=max_jobs,
            keep_result=0,
            queue_read_limit=_QUEUE_READ_LIMIT,
            job_serializer=serialize,
            job_deserializer=deserialize,
            log_results=False,
        )
        self.sem = asyncio.BoundedSemaphore(_UNBOUNDED)
        self._signals = services.redis.signals
        self._wake = asyncio.Event()
        self._polling = asyncio.Lock()

    async def main(self) -> None:
        """Poll whenever there is a signal, a slot came free, or some time has passed, until `drain` is called.

        Not to be cancelled while it polls: redis-py would keep the connection of a transaction that was interrupted.
        """
        log = logger(queue=self.queue_name)
        with self._signals.waiter("queue", self.queue_name) as wake:
            self._wake = wake
            while self.allow_pick_jobs:
                wake.clear()
                try:
                    async with self._polling:
                        await self._poll_iteration()
                except (RedisError, OSError) as error:
                    log.warning(Log.REDIS_UNREACHABLE, reason=str(error))
                    self._drop_failed()
                    await asyncio.sleep(_REDIS_RETRY_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Pass over what this process runs itself: each of those would cost a round trip. Stop as soon as `drain` is
        called."""
        for job_id in job_ids:
            if not self.allow_pick_jobs or self.job_counter >= self.max_jobs:
                return
            if job_id.decode() not in self.tasks:
                await super().start_jobs([job_id])

    async def heart_beat(self) -> None:
        """arq's health record says less than ours (`workers.metrics`), and cron jobs there are none."""

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._wake.set()

    @property
    def job_counter(self) -> int:
        """Jobs that run, counted each time: arq's own count goes wrong for good when Redis fails between counting a
        job and starting it."""
        return sum(not task.done() for task in self.tasks.values())

    @job_counter.setter
    def job_counter(self, count: int) -> None:
        """What arq counts is not used."""

    def _drop_failed(self) -> None:
        """Forget the jobs that Redis' absence ended, all at once: arq would raise for each of them in a poll of its
        own."""
        for job_id, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[job_id]
                if not task.cancelled():
                    task.exception()  # looked at, so that asyncio does not report it as overlooked

    async def drain(self, seconds: float) -> None:
        """Take no more work; wait for what runs, then cancel it, which hands it back: all of it within `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        requeue = end - min(_HAND_BACK_SECONDS, seconds / 2)
        self.allow_pick_jobs = False
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(requeue), self._polling:  # a poll that is under way may still start a job
                pass
        running = [task for task in self.tasks.values() if not task.done()]
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=max(0.0, requeue - loop.time()))
        for job in list(self.job_tasks.values()):
            job.cancel()
        if late:
            await asyncio.wait(late, timeout=max(0.0, end - loop.time()))


def _queue_worker(services: WorkerServices, settings: Settings, kind: WorkerType) -> QueueWorker:
    media = kind in (WorkerType.PROBE, WorkerType.THUMBNAIL)
    longest = max(spec.timeout_seconds for spec in GRAPH.values() if spec.worker is kind)
    return QueueWorker(
        services,
        services.redis.keys.queue(kind, settings.volume),
        settings.media_concurrency if media else settings.stage_concurrency,
        longest + 60,  # the engine's own timeout comes first
    )


async def run_workers(
    settings: Settings, types: Sequence[WorkerType], ready: Callable[[str], None] | None = None
) -> None:
    """Run one process with workers of the given types until SIGTERM or SIGINT. `ready` gets the URL of its metrics."""
    configure_logging(settings.log_format, settings.log_level)
    logging.getLogger("arq").setLevel(logging.CRITICAL)
    log = logger(workers=[str(kind) for kind in types])
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with worker_services(settings) as services, serve_metrics(settings, services) as url:
        queues = [_queue_worker(services, settings, kind) for kind in types if kind is not WorkerType.ADMISSION]
        tasks = [asyncio.create_task(worker.main(), name=worker.queue_name) for worker in queues]
        tasks.append(asyncio.create_task(heartbeat(services, types, url), name="heartbeat"))
        if WorkerType.ADMISSION in types:
            tasks.append(asyncio.create_task(run_admission(services, settings.volume), name="admission"))
            tasks.append(asyncio.create_task(run_deletions(services), name="leftovers"))
        log.info(Log.STARTED, metrics=url, name=services.name)
        if ready:
            ready(url)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        log.info(Log.STOPPING)
        services.engine.stop.set()
        end = asyncio.get_running_loop().time() + settings.shutdown_seconds
        await asyncio.gather(*(worker.drain(settings.shutdown_seconds) for worker in queues))
        if queues:
            left_seconds = max(_LOOP_SECONDS, end - asyncio.get_running_loop().time())
            await asyncio.wait(tasks[: len(queues)], timeout=left_seconds)
        for task in (stopping, *tasks):
            task.cancel()
        results = await asyncio.gather(stopping, *tasks, return_exceptions=True)
        for worker in queues:
            await worker.pool.aclose(close_connection_pool=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
