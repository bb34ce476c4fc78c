"""Stage jobs in arq's queues: `ports.StageQueue`.

A queue is arq's sorted set of job ids, scored by when each job is due; a key per job holds its envelope. arq's own
`enqueue_job` does that in four round trips, under WATCH. Here it is one: the envelope, then the id unless it is in the
queue, then a wake signal.

- Enqueueing is idempotent by job id. A second copy of a job that runs already is harmless: it cannot acquire the
  stage's lease. Ids contain the stage's fencing token, so that no id is used for two runs.
- A job that is due now is dated an hour back, because workers compare the date with their own clock.
- A job is kept for 30 days after it is due, longer than any outage; arq keeps it for one day. The board's list of
  overdue stages enqueues a job that is lost.
- Without the signal, a worker finds a job when it polls next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from arq.constants import job_key_prefix
from arq.utils import timestamp_ms
from redis.asyncio import Redis

from pipeline.adapters.arq.client import read_id, write_job
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.pool import transaction
from pipeline.core.model import StageJob
from pipeline.core.stages import GRAPH

DUE_NOW_LEAD = timedelta(hours=1)
_KEPT = timedelta(days=30)
# A client waits for the jobs that its request enqueues: connecting and writing together take no longer.
_ENQUEUE_SECONDS = 5.0


def envelope_key(job_id: str) -> str:
    """The key that holds a job's envelope. It has arq's prefix, not that of our keys."""
    return f"{job_key_prefix}{job_id}"


class ArqStageQueue:
    """Implements `ports.StageQueue`."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def _queue(self, job: StageJob) -> str:
        return self._keys.queue(GRAPH[job.stage].worker, job.volume)

    async def enqueue(self, job: StageJob, after_seconds: float = 0.0) -> None:
        queue = self._queue(job)
        due = timedelta(seconds=after_seconds) if after_seconds > 0 else -DUE_NOW_LEAD
        due_ms = timestamp_ms() + due // timedelta(milliseconds=1)
        with translated():
            async with asyncio.timeout(_ENQUEUE_SECONDS), self._redis.pipeline(transaction=False) as pipe:
                pipe.psetex(envelope_key(job.job_id), due + _KEPT, write_job(job))
                pipe.zadd(queue, {job.job_id: due_ms}, nx=True)
                pipe.publish(self._keys.wake(queue), "")
                await pipe.execute()

    async def jobs(self, volume: str, limit: int) -> Sequence[StageJob]:
        queues = sorted({self._keys.queue(spec.worker, volume) for spec in GRAPH.values()})
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for queue in queues:
                    pipe.zrange(queue, 0, limit - 1)
                found: list[list[str]] = await pipe.execute()
        jobs = (read_id(job_id) for job_ids in found for job_id in job_ids)
        return [StageJob(*job, volume) for job in jobs if job]

    async def discard(self, job: StageJob) -> None:
        job_id = job.job_id
        with translated():
            async with transaction(self._redis) as pipe:
                pipe.zrem(self._queue(job), job_id)
                pipe.delete(envelope_key(job_id))
                await pipe.execute()
