"""`ports.StageQueue` on arq's queues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from arq.connections import ArqRedis
from arq.constants import job_key_prefix
from redis.asyncio import Redis
from uuid6 import uuid7

from pipeline.adapters.arq.client import arq_client, deserialize, read_job, serialize
from pipeline.adapters.arq.queue import DUE_NOW_LEAD
from pipeline.adapters.redis.reads import now_ms
from pipeline.bootstrap import RedisParts
from pipeline.core.model import StageJob
from pipeline.core.stages import GRAPH, Stage, WorkerType

pytestmark = pytest.mark.contract


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[ArqRedis]:
    client = arq_client(redis_url)
    yield client
    await client.aclose(close_connection_pool=True)


def new_job(stage: Stage = Stage.TRANSFER, fencing_token: int = 1) -> StageJob:
    return StageJob(str(uuid7()), stage, fencing_token, "local")


def queue_of(parts: RedisParts, job: StageJob) -> str:
    return parts.keys.queue(GRAPH[job.stage].worker, job.volume)


async def arq_keys(client: Redis, job: StageJob) -> list[bytes]:
    return [key async for key in cast("AsyncIterator[bytes]", client.scan_iter(f"*{job.job_id}*", count=1000))]


@pytest.mark.parametrize("stage", Stage)
async def test_a_job_is_in_the_queue_of_its_worker_type_as_json(parts: RedisParts, raw: ArqRedis, stage: Stage) -> None:
    job = new_job(stage)
    await parts.queue.enqueue(job)
    worker = GRAPH[stage].worker
    expected = f"{parts.keys.prefix}queue:{worker}" + ("" if worker is WorkerType.PERSIST else ":local")
    assert await raw.zrange(expected, 0, -1) == [job.job_id.encode()]
    envelope = json.loads(cast("bytes", await raw.get(job_key_prefix + job.job_id)))
    arguments = next(value for value in envelope.values() if isinstance(value, list) and value)
    assert read_job(*arguments) == job
    assert await raw.ttl(job_key_prefix + job.job_id) > 20 * 86_400, "longer than any outage"


async def test_a_job_that_is_enqueued_again_keeps_its_place(parts: RedisParts, raw: ArqRedis) -> None:
    job = new_job()
    await asyncio.gather(*(parts.queue.enqueue(job) for _ in range(10)))
    before = await raw.zrange(queue_of(parts, job), 0, -1, withscores=True)
    await parts.queue.enqueue(job)
    assert await raw.zrange(queue_of(parts, job), 0, -1, withscores=True) == before
    assert len(before) == 1


async def test_a_job_that_is_due_now_is_due_by_any_clock_and_a_later_one_waits(
    parts: RedisParts, raw: ArqRedis
) -> None:
    at_once, later = new_job(), new_job()
    await parts.queue.enqueue(at_once)
    await parts.queue.enqueue(later, after_seconds=60)
    now = await now_ms(parts.client)
    due = dict(cast("list[Any]", await raw.zrange(queue_of(parts, at_once), 0, -1, withscores=True)))
    lead_ms = DUE_NOW_LEAD.total_seconds() * 1000
    assert due[at_once.job_id.encode()] == pytest.approx(now - lead_ms, abs=30_000)
    assert due[later.job_id.encode()] == pytest.approx(now + 60_000, abs=30_000)


async def test_enqueueing_wakes_the_workers_of_that_queue(parts: RedisParts) -> None:
    job = new_job()
    with (
        parts.signals.waiter("queue", queue_of(parts, job)) as woken,
        parts.signals.waiter("queue", parts.keys.queue(WorkerType.PROBE, "local")) as other,
    ):
        async with asyncio.timeout(60):
            await asyncio.gather(woken.wait(), other.wait())  # their subscriptions are active
        woken.clear()
        other.clear()
        await parts.queue.enqueue(job)
        async with asyncio.timeout(60):
            await woken.wait()
        assert not other.is_set()


async def test_a_discarded_job_leaves_nothing(parts: RedisParts, raw: ArqRedis) -> None:
    job = new_job()
    await parts.queue.enqueue(job)
    for _ in range(2):
        await parts.queue.discard(job)
        assert await arq_keys(raw, job) == []
        assert not await raw.exists(queue_of(parts, job))


async def test_a_claimed_job_can_be_enqueued_again(parts: RedisParts, raw: ArqRedis) -> None:
    """A worker has removed it from Redis and died before it started the stage."""
    job = new_job()
    await parts.queue.enqueue(job)
    await parts.queue.discard(job)
    await parts.queue.enqueue(job)
    assert await raw.zcard(queue_of(parts, job)) == 1
    assert list(await parts.queue.jobs("local", 10)) == [job]


async def test_a_job_of_a_stage_that_only_another_release_has_is_left_out(parts: RedisParts, raw: ArqRedis) -> None:
    job = new_job()
    await parts.queue.enqueue(job)
    await raw.zadd(queue_of(parts, job), {f"{job.upload_id}:checksum:7": 1})
    assert list(await parts.queue.jobs("local", 10)) == [job]


def test_an_envelope_is_json_whatever_is_in_it() -> None:
    strange = {"e": ValueError("no"), "p": pytest, "ok": [1, "ü"]}
    text = serialize(strange)
    assert deserialize(text)["ok"] == [1, "ü"]
    assert deserialize(text)["e"] == "no"
    with pytest.raises(ValueError, match="codec can't decode"):
        deserialize(b"\x80\x04K\x01.")  # a pickle is not opened
