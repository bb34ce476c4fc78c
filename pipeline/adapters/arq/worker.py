"""arq's worker, for one queue of stage jobs.

Guarantee: a job starts within milliseconds of being enqueued (a published signal wakes the worker; polling is the
fallback); an unavailable Redis does not end the worker; `drain` stops it from taking jobs and lets running jobs finish,
or requeues them, within a set time.

arq carries jobs and polls for them. Retries, leases, timeouts and take-over belong to the engine and the board: arq
would wait for its longest job timeout before it runs the job of a dead worker again.

A worker claims a job by removing its envelope from Redis, which succeeds in exactly one worker, and then its id. arq
leaves both there until the job has ended, and claims the job with a key under WATCH. When the claim was a transaction,
with two commands more, emptying a full queue took 3 commands per job (arq: 16), and 9 where four processes competed for
its jobs (arq: 29): 4,400 jobs/s with one process and 4,700 with four, on two cores that Redis shared (arq: 1,000 and
400).

What may go wrong after the claim, and what happens then:
- The worker dies before the engine starts the stage, or Redis fails in between: the board has the stage as queued, and
  its list of overdue stages enqueues the job again after 10 s.
- The worker dies while the stage runs: its lease lapses and the board queues a new run, with a new job id.
- The worker dies between the envelope and the id: the next one that finds the id without an envelope removes it.
- The worker was only slow and both copies of a job run: the second one cannot acquire the stage's lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from arq.constants import job_key_prefix
from arq.jobs import deserialize_job_raw
from arq.worker import Function, Worker, func

from pipeline.adapters.arq.client import FUNCTION, arq_client, deserialize, read_id, read_job, serialize
from pipeline.adapters.redis.errors import translated
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.model import StageJob
from pipeline.logs import Log, logger
from pipeline.tasks import end_tasks

# The fallback for a lost signal.
_POLL_SECONDS = 1.0
_REDIS_RETRY_SECONDS = 0.5
# Of the time to drain, reserved for requeueing what did not finish: segments on their way to the store are given 5 s.
_REQUEUE_SECONDS = 6.0
# Ids that one poll reads. Jobs of stages that only a newer release has stay in the queue and must not fill it.
_QUEUE_READ_LIMIT = 500
# Jobs that wait cost memory and heartbeats.
_IDLE_FACTOR = 8


class Signals(Protocol):
    """Wakes a worker when a job is enqueued: `adapters.redis.signals.RedisSignals`."""

    def waiter(self, kind: Literal["upload", "queue"], name: str) -> AbstractContextManager[asyncio.Event]: ...


class QueueWorker(Worker):
    """Takes jobs from `queue` and calls `run` with each, at most `max_jobs` at once, each for at most
    `timeout_seconds`. `run` may be cancelled by `drain` and requeues its stage then. `idle_jobs` says how many of the
    running jobs do not count, because they wait for something else than this process; up to 8 times `max_jobs`."""

    def __init__(
        self,
        redis_url: str,
        queue: str,
        run: Callable[[StageJob], Awaitable[None]],
        signals: Signals,
        max_jobs: int,
        timeout_seconds: float,
        idle_jobs: Callable[[], int] = lambda: 0,
    ) -> None:
        async def run_stage(ctx: dict[Any, Any], upload_id: str, stage: str, fencing_token: int, volume: str) -> None:
            await run(read_job(upload_id, stage, fencing_token, volume))

        function: Function = func(run_stage, name=FUNCTION)
        super().__init__(
            functions=[function],
            queue_name=queue,
            redis_pool=arq_client(redis_url),
            handle_signals=False,
            max_jobs=max_jobs * _IDLE_FACTOR,
            job_timeout=timeout_seconds,
            queue_read_limit=_QUEUE_READ_LIMIT,
            job_serializer=serialize,
            job_deserializer=deserialize,
        )
        self._signals = signals
        self._busy_jobs = max_jobs
        self._idle_jobs = idle_jobs
        self._wake = asyncio.Event()
        self._may_have_more = True
        """Whether the last poll may have left jobs in the queue that can run now."""
        self._polling = asyncio.Lock()

    async def main(self) -> None:
        """Poll at each signal, whenever a job ends that others wait for, and once a second, until `drain` is called.

        Not to be cancelled while it polls: redis-py would keep the connection of an interrupted pipeline.
        """
        log = logger(queue=self.queue_name)
        with self._signals.waiter("queue", self.queue_name) as wake:
            self._wake = wake
            while self.allow_pick_jobs:
                wake.clear()
                self._may_have_more = True
                try:
                    with translated():
                        async with self._polling:
                            await self._poll_iteration()
                except DependencyUnavailable as error:
                    log.warning(Log.REDIS_UNREACHABLE, code=error.code, reason=error.message)
                    await asyncio.sleep(_REDIS_RETRY_SECONDS)
                except Exception as error:  # a bug must not end the worker
                    log.exception(Log.REDIS_UNREACHABLE, reason=str(error))
                    await asyncio.sleep(_REDIS_RETRY_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim as many of these jobs as there are free slots, in order, and start them."""
        names = (job_id.decode("utf-8", "replace") for job_id in job_ids)
        waiting = [job_id for job_id in names if self._is_to_run(job_id)]
        while waiting and self.allow_pick_jobs and (free := self._free_slots()) > 0:
            wanted, waiting = waiting[:free], waiting[free:]
            for job_id, envelope in await self._claim(wanted):
                self._start(job_id, envelope)
        self._may_have_more = bool(waiting) or len(job_ids) >= self.queue_read_limit

    def _free_slots(self) -> int:
        return min(self._busy_jobs + self._idle_jobs(), int(self.max_jobs)) - self.job_counter

    def wake(self) -> None:
        """Look for jobs now: more of those that run are idle."""
        self._wake.set()

    def _is_to_run(self, job_id: str) -> bool:
        """False for a stage that only another release has, whose worker takes the job, for a job that is not Sluice's,
        and for a second copy of a job that this worker runs."""
        return read_id(job_id) is not None and job_id not in self.tasks

    async def _claim(self, job_ids: Sequence[str]) -> list[tuple[str, bytes]]:
        """Remove these jobs from Redis; returns those whose envelopes this worker has got. A job whose envelope is
        missing is dropped: another worker has it, or if its stage has not started, the board enqueues it again."""
        async with self.pool.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.getdel(job_key_prefix + job_id)  # before the id: a worker that stops here leaves only that
                pipe.zrem(self.queue_name, job_id)
            replies = await pipe.execute()
        return [(job_id, envelope) for job_id, envelope in zip(job_ids, replies[::2], strict=True) if envelope]

    def _start(self, job_id: str, envelope: bytes) -> None:
        self.job_counter += 1
        self.tasks[job_id] = task = asyncio.create_task(self._run(envelope))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.job_counter -= 1
        if self._may_have_more:
            self._wake.set()

    async def _run(self, envelope: bytes) -> None:
        """Run a claimed job to its end; never raises. It is cancelled by `drain`, or after `job_timeout_s` in case the
        engine's own timeout did not work, and the engine requeues the stage then."""
        log = logger(queue=self.queue_name)
        try:
            name, arguments, options, _, _ = deserialize_job_raw(envelope, deserializer=self.job_deserializer)
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(self.job_timeout_s):
                    await self.functions[name].coroutine({}, *arguments, **options)
        except Exception:  # a bug must not end the worker; the stage's lease lapses
            log.exception(Log.STAGE_FAILED)

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
        await end_tasks(*late, most_seconds=max(0.0, end - loop.time()))

    async def disconnect(self) -> None:
        """Close the worker's own connections, once `main` has returned."""
        with contextlib.suppress(DependencyUnavailable), translated():
            await self.pool.aclose(close_connection_pool=True)
