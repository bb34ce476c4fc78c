"""Samples of the counters on Redis 6 and 7: one in each interval however many processes keep them, bounded by time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.adapters.redis.samples import EVERY_MS, KEPT_MS
from pipeline.adapters.redis.scripts import Scripts
from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.admission import DiskReading
from pipeline.settings import Settings
from schemas.status import VolumeSampleFields
from tests.contract.redis.uploads import VOLUME, Play, transfer_job
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

DISK = DiskReading(free_bytes=10**15, headroom_bytes=0, epoch=0)
START_MS = 1_700_000_000_000


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        yield opened


async def _keep(parts: RedisParts, *now_ms: int) -> None:
    """At these times of Redis' clock."""
    scripts = Scripts(parts.client, parts.keys.prefix)
    for moment in now_ms:
        await scripts.call("volume_sample", volume=VOLUME, every_ms=EVERY_MS, keep_ms=KEPT_MS, now_ms=moment)


async def _samples(parts: RedisParts, key: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(item) for item in await parts.client.zrange(key or parts.keys.samples(VOLUME), 0, -1)]


async def _opened(parts: RedisParts, play: Play) -> None:
    """A volume that Redis knows, with one upload that holds bytes."""
    await parts.ledger.open("run")
    upload = await play.admitted()
    await parts.ledger.request(upload.upload_id, upload.size_bytes, DISK)


async def test_there_is_one_sample_in_each_interval(parts: RedisParts, play: Play) -> None:
    await _opened(parts, play)
    await asyncio.gather(*(_keep(parts, START_MS) for _ in range(5)))
    await _keep(parts, START_MS + EVERY_MS - 1)
    assert len(await _samples(parts)) == len(await _samples(parts, parts.keys.stage_samples)) == 1
    await _keep(parts, START_MS + EVERY_MS)
    taken = [VolumeSampleFields.model_validate(item) for item in await _samples(parts)]
    assert [item.at_ms for item in taken] == [START_MS, START_MS + EVERY_MS]
    assert taken[0].free_bytes == DISK.free_bytes, "digits, also of large numbers"
    assert taken[0].reservations == 1


async def test_an_hour_is_kept(parts: RedisParts, play: Play) -> None:
    await _opened(parts, play)
    await _keep(parts, *(START_MS + step * EVERY_MS for step in range(KEPT_MS // EVERY_MS + 40)))
    times = [int(item["at_ms"]) for item in await _samples(parts)]
    assert len(times) == len(set(times)) == KEPT_MS // EVERY_MS
    assert await parts.client.pttl(parts.keys.samples(VOLUME)) > 0, "they go with the volume"


async def test_samples_of_a_clock_that_was_set_back_are_replaced(parts: RedisParts, play: Play) -> None:
    await _opened(parts, play)
    await _keep(parts, START_MS + 10 * KEPT_MS)
    await _keep(parts, START_MS)
    assert [int(item["at_ms"]) for item in await _samples(parts)] == [START_MS]


async def test_a_volume_that_redis_does_not_know_has_no_sample(parts: RedisParts) -> None:
    await _keep(parts, START_MS)
    assert await _samples(parts) == []


async def test_runs_of_stages_are_counted(parts: RedisParts, play: Play) -> None:
    job = await play.started(await transfer_job(play))
    again = await play.stages.retry(job, "STORE_UNAVAILABLE", 0, outage=True)
    await play.started(again)
    requeued = await play.stages.requeue(again)
    await play.transferred(requeued, await play.board.get(job.upload_id))
    await _keep(parts, START_MS)
    (sample,) = await _samples(parts, parts.keys.stage_samples)
    assert int(sample.pop("transfer.waited_ms")) >= 0
    assert sample.pop("at_ms") == str(START_MS)
    assert sample == {"transfer.started": "3", "transfer.retried": "1"}
