"""What other programs have put into a queue of Sluice neither ends a worker nor hides a job."""

from __future__ import annotations

import pytest
from arq.connections import ArqRedis
from uuid6 import uuid7

from pipeline.bootstrap import RedisParts
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage, WorkerType
from tests.contract.redis.queue_workers import Engine, working
from tests.contract.redis.test_queue import raw
from tests.contract.redis.uploads import until

pytestmark = pytest.mark.contract

__all__ = ["raw"]

_FOREIGN = (b"", b"x", b"a:b", b"a:probe", b"a:probe:x", b"a:probe:1:2", b"a:b:c:d")


async def test_a_worker_ignores_foreign_jobs(parts: RedisParts, raw: ArqRedis, redis_url: str) -> None:
    engine = Engine()
    async with working(parts, redis_url, engine):
        await raw.zadd(parts.keys.queue(WorkerType.PROBE, "local"), dict.fromkeys((*_FOREIGN, b"\xff\xfe"), 0))
        job = StageJob(str(uuid7()), Stage.PROBE, 1, "local")
        await parts.queue.enqueue(job)
        await until(lambda: engine.ran[job.job_id] == 1)


async def test_foreign_jobs_are_not_listed(parts: RedisParts, raw: ArqRedis) -> None:
    await raw.zadd(parts.keys.queue(WorkerType.PROBE, "local"), dict.fromkeys(_FOREIGN, 0))
    job = StageJob(str(uuid7()), Stage.PROBE, 1, "local")
    await parts.queue.enqueue(job)
    assert await parts.queue.jobs("local", 100) == [job]
