"""Stage jobs through arq's queues: `ports.StageQueue`, and what `workers.process` must do the same way.

arq's traps, and what is done about each:
- it pickles by default, so that whoever writes to Redis runs code: jobs are JSON;
- enqueueing returns None while a job of that id, or its result, exists: ids carry the stage's fencing number and so
  never come again, results are not kept, and None means "already on its way";
- a worker that dies between claiming a job and starting it leaves its claim for as long as the longest job may take: a
  stage is enqueued again only while the board says that nobody runs it, so a claim that is found then goes;
- a queue is polled twice a second: each enqueueing publishes a wake signal, polling stays as the fallback;
- due times come from the sender's clock: jobs that are due now are dated an hour back, so that clocks may differ;
- jobs vanish 24 h after they were due: they are kept for 30 days, and the board's list of overdue stages enqueues what
  is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.jobs import known_stage
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.pool import SideBySidePool
from pipeline.core.model import StageJob
from pipeline.core.stages import GRAPH, Stage

FUNCTION = "run_stage"
DUE_NOW_LEAD = timedelta(hours=1)
_EXPIRES = timedelta(days=30)


def serialize(value: dict[str, Any]) -> bytes:
    """arq's job envelope as JSON. Exceptions and other strangers become text."""
    return json.dumps(value, default=str).encode()


def deserialize(raw: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(raw)
    return value


def arq_client(redis_url: str) -> ArqRedis:
    """arq's own client: like ours, but it reads bytes."""
    pool = SideBySidePool.from_url(redis_url, decode_responses=False, socket_timeout=10, socket_connect_timeout=5)
    return ArqRedis(pool_or_conn=pool, job_serializer=serialize, job_deserializer=deserialize)


# Several commands, each of which may wait for a Redis that answers nothing; a client waits for all of them.
_ENQUEUE_SECONDS = 5.0


def _look_away(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


class ArqStageQueue:
    """Implements `ports.StageQueue`."""

    def __init__(self, arq: ArqRedis, keys: Keys) -> None:
        self._arq = arq
        self._keys = keys
        self._late: set[asyncio.Task[None]] = set()

    def _queue(self, job: StageJob) -> str:
        return self._keys.queue(GRAPH[job.stage].worker, job.volume)

    async def enqueue(self, job: StageJob, after_seconds: float = 0.0) -> None:
        queue = self._queue(job)
        due = datetime.now(UTC) + (timedelta(seconds=after_seconds) if after_seconds > 0 else -DUE_NOW_LEAD)
        enqueueing = asyncio.create_task(self._enqueue(queue, due, job))
        # Beside us, since redis-py may take 10 s more to break off what is WATCHed: that one's end nobody waits for.
        self._late.add(enqueueing)
        enqueueing.add_done_callback(self._late.discard)
        enqueueing.add_done_callback(_look_away)
        with translated():
            try:
                await asyncio.wait((enqueueing,), timeout=_ENQUEUE_SECONDS)
                if not enqueueing.done():
                    raise TimeoutError("a job was not taken in time")
                enqueueing.result()
            finally:
                enqueueing.cancel()

    async def _enqueue(self, queue: str, due: datetime, job: StageJob) -> None:
        enqueued = await self._arq.enqueue_job(
            FUNCTION,
            job.upload_id,
            str(job.stage),
            job.fencing_token,
            job.volume,
            _job_id=job.job_id,
            _queue_name=queue,
            _defer_until=due,
            _expires=_EXPIRES,
        )
        if enqueued is None:
            await self._arq.delete(in_progress_key_prefix + job.job_id, retry_key_prefix + job.job_id)
        await self._arq.publish(self._keys.wake, queue)

    async def jobs(self, volume: str, limit: int) -> Sequence[StageJob]:
        queues = sorted({self._keys.queue(spec.worker, volume) for spec in GRAPH.values()})
        with translated():
            async with self._arq.pipeline(transaction=False) as pipe:
                for queue in queues:
                    pipe.zrange(queue, 0, limit - 1)
                found = await pipe.execute()
        ids = [raw.decode().split(":") for members in found for raw in members]
        jobs = ((upload_id, known_stage(stage), int(token)) for upload_id, stage, token in ids)
        return [StageJob(upload_id, stage, token, volume) for upload_id, stage, token in jobs if stage]

    async def discard(self, job: StageJob) -> None:
        job_id = job.job_id
        with translated():
            async with self._arq.pipeline(transaction=True) as pipe:
                pipe.zrem(self._queue(job), job_id)
                pipe.delete(job_key_prefix + job_id, in_progress_key_prefix + job_id, retry_key_prefix + job_id)
                await pipe.execute()


def read_job(upload_id: str, stage: str, fencing_token: int, volume: str) -> StageJob:
    """The arguments of `FUNCTION`, as a job."""
    return StageJob(upload_id, Stage(stage), fencing_token, volume)
