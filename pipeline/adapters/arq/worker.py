"""arq's worker, for one queue of stage jobs.

Guarantee: a job starts within milliseconds of being enqueued (a published signal wakes the worker; polling is the
fallback); an unavailable Redis does not end the worker; `drain` stops it from taking jobs and lets running jobs finish,
or requeues them, within a set time.

arq carries jobs and bounds how many run and for how long. Retries, leases, timeouts and take-over belong to the engine
and the board: arq would wait for its longest job timeout before it runs the job of a dead worker again.

A worker claims a job by removing its id from the queue, which succeeds in exactly one worker. arq leaves the id in the
queue until the job has ended and claims it with a key instead, under WATCH. Measured with a job that does nothing, from
enqueueing to its end: 12 commands in 6 round trips, with arq's claim 25 commands in 12. Emptying a queue takes 7
commands per job (arq: 16), and 9 where four processes compete for its jobs (arq: 29): 2,300 jobs/s with one process and
3,000 with four, on two cores that also run Redis (arq: 1,000 and 400).

What may go wrong after the claim, and what happens then:
- The worker dies before the engine starts the stage, or Redis fails in between: the board has the stage as queued, and
  its list of overdue stages enqueues the job again after 10 s.
- The worker dies while the stage runs: its lease lapses and the board queues a new run, with a new job id.
- The worker was only slow and both copies of a job run: the second one cannot acquire the stage's lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from arq.constants import job_key_prefix, retry_key_prefix
from arq.utils import timestamp_ms
from arq.worker import Function, Worker, func
from redis.exceptions import RedisError

from pipeline.adapters.arq.client import FUNCTION, arq_client, deserialize, read_job, serialize
from pipeline.adapters.redis.jobs import known_stage
from pipeline.core.model import StageJob
from pipeline.telemetry import Log, logger

# The fallback for a lost signal.
_POLL_SECONDS = 1.0
_REDIS_RETRY_SECONDS = 0.5
# Of the time to drain, reserved for requeueing what did not finish: segments on their way to the store are given 5 s.
_REQUEUE_SECONDS = 6.0
# Ids that one poll reads. Jobs of stages that only a newer release has stay in the queue and must not fill it.
_QUEUE_READ_LIMIT = 500
# arq counts how often a job id was started; the engine counts attempts.
_UNBOUNDED = 2**31


class Signals(Protocol):
    """Wakes a worker when a job is enqueued: `adapters.redis.signals.RedisSignals`."""

    def waiter(self, kind: str, name: str) -> AbstractContextManager[asyncio.Event]: ...


class QueueWorker(Worker):
    """Takes jobs from `queue` and calls `run` with each, at most `max_jobs` at once, each for at most
    `timeout_seconds`. `run` may be cancelled by `drain` and requeues its stage then."""

    def __init__(
        self,
        redis_url: str,
        queue: str,
        run: Callable[[StageJob], Awaitable[None]],
        signals: Signals,
        max_jobs: int,
        timeout_seconds: float,
    ) -> None:
        async def run_stage(ctx: dict[Any, Any], upload_id: str, stage: str, fencing_token: int, volume: str) -> None:
            with contextlib.suppress(asyncio.CancelledError):  # the engine has requeued the stage by then
                await run(read_job(upload_id, stage, fencing_token, volume))

        function: Function = func(
            run_stage, name=FUNCTION, keep_result=0, timeout=timeout_seconds, max_tries=_UNBOUNDED
        )
        super().__init__(
            functions=[function],
            queue_name=queue,
            redis_pool=arq_client(redis_url),
            handle_signals=False,
            max_jobs=max_jobs,
            keep_result=0,
            queue_read_limit=_QUEUE_READ_LIMIT,
            job_serializer=serialize,
            job_deserializer=deserialize,
            log_results=False,
        )
        logging.getLogger("arq").setLevel(logging.CRITICAL)  # the engine logs what becomes of a job
        self._signals = signals
        self._wake = asyncio.Event()
        self._polling = asyncio.Lock()

    async def main(self) -> None:
        """Poll at each signal, whenever a job ends, and once a second, until `drain` is called.

        Not to be cancelled while it polls: redis-py would keep the connection of an interrupted pipeline.
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
                    await asyncio.sleep(_REDIS_RETRY_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim as many of these jobs as there are free slots, in order, and start them."""
        waiting = [job_id for job_id in map(bytes.decode, job_ids) if self._is_to_run(job_id)]
        while waiting and self.allow_pick_jobs and (free := self.max_jobs - self.job_counter) > 0:
            wanted, waiting = waiting[:free], waiting[free:]
            for job_id in await self._claim(wanted):
                self._start(job_id)

    def _is_to_run(self, job_id: str) -> bool:
        """False for a stage that only another release has, whose worker takes the job, and for a second copy of a job
        that this worker runs."""
        return known_stage(job_id.split(":")[1]) is not None and job_id not in self.tasks

    async def _claim(self, job_ids: Sequence[str]) -> list[str]:
        """Those that this worker has removed from the queue, and no other."""
        async with self.pool.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.zrem(self.queue_name, job_id)
            removed = await pipe.execute()
        return [job_id for job_id, count in zip(job_ids, removed, strict=True) if count]

    def _start(self, job_id: str) -> None:
        self.job_counter += 1
        self.tasks[job_id] = task = asyncio.create_task(self.run_job(job_id, timestamp_ms()))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.job_counter -= 1
        self._wake.set()

    async def run_job(self, job_id: str, score: int) -> None:
        """Run a claimed job. If Redis fails before the engine has started the stage, the board enqueues the job
        again."""
        try:
            await super().run_job(job_id, score)
        except (RedisError, OSError) as error:
            logger(queue=self.queue_name).warning(Log.REDIS_UNREACHABLE, reason=str(error))

    async def finish_job(self, job_id: str, *_: Any, **__: Any) -> None:
        """Remove the job's keys. Its id has left the queue already; if it is there again, that is another copy."""
        await self.pool.delete(job_key_prefix + job_id, retry_key_prefix + job_id)

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """As `finish_job`, for a job that could not be called."""
        await self.finish_job(job_id)

    async def heart_beat(self) -> None:
        """Nothing: there are no cron jobs, and `workers.metrics` keeps a record of the process."""

    async def drain(self, seconds: float) -> None:
        """Take no more jobs; wait for those that run, then cancel them, which requeues them: all within `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        requeue = end - min(_REQUEUE_SECONDS, seconds / 2)
        self.allow_pick_jobs = False
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(requeue), self._polling:  # a poll that has claimed jobs starts them
                pass
        running = [task for task in self.tasks.values() if not task.done()]
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=max(0.0, requeue - loop.time()))
        for job in list(self.job_tasks.values()):
            job.cancel()
        if late:
            await asyncio.wait(late, timeout=max(0.0, end - loop.time()))

    async def disconnect(self) -> None:
        """Close the worker's own connections, once `main` has returned."""
        await self.pool.aclose(close_connection_pool=True)
