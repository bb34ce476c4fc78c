"""The gauges that describe the whole system, read from a real Redis of each version."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.stages import OF_VOLUME, WorkerType
from pipeline.settings import Settings
from pipeline.telemetry import REGISTRY
from tests.contract.redis.uploads import VOLUME, Play, transfer_job
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        yield opened


def shown(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(metric, labels)


async def test_workers_are_counted_by_type_and_volume_and_not_when_they_have_stopped(parts: RedisParts) -> None:
    await parts.workers.write("one", {"types": "admission,probe,persist", "volume": VOLUME})
    await parts.workers.write("two", {"types": "probe", "volume": VOLUME})
    await parts.workers.write("three", {"types": "probe,persist", "volume": "elsewhere"})
    await parts.gauges.collect()
    counted = {
        kind: shown("sluice_workers", type=kind, volume=VOLUME if kind in OF_VOLUME else "") for kind in WorkerType
    }
    expected: dict[WorkerType, float | None] = dict.fromkeys(WorkerType, 0)
    expected |= {WorkerType.ADMISSION: 1, WorkerType.PROBE: 2, WorkerType.PERSIST: 2}
    assert counted == expected
    assert shown("sluice_workers", type="admission", volume="elsewhere") == 0
    await parts.workers.remove("one")
    await parts.gauges.collect()
    assert shown("sluice_workers", type="admission", volume=VOLUME) == 0
    assert shown("sluice_redis_available") == 1


async def test_a_queue_is_named_by_its_worker_type_and_volume(parts: RedisParts, play: Play) -> None:
    await parts.ledger.open("run")
    job = await transfer_job(play)
    await parts.ledger.request(job.upload_id, 4096, DiskReading(free_bytes=0, headroom_bytes=0, epoch=0), owner="ann")
    await parts.queue.enqueue(job, 0)
    await parts.gauges.collect()
    assert shown("sluice_queue_depth", queue=f"transfer:{VOLUME}", type="transfer", volume=VOLUME) == 1
    assert shown("sluice_queue_depth", queue="persist", type="persist", volume="") == 0
    assert shown("sluice_queue_age_seconds", queue="persist", type="persist", volume="") == 0
    assert shown("sluice_queue_depth", queue=f"admission:{VOLUME}", type="admission", volume=VOLUME) is None


async def test_gauges_that_cannot_be_read_are_marked_as_out_of_date(parts: RedisParts) -> None:
    await parts.gauges.collect()
    settings = Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"), redis_namespace="unreachable")
    async with redis_parts(settings) as unreachable:
        with pytest.raises(DependencyUnavailable):
            await unreachable.gauges.collect()
    assert shown("sluice_redis_available") == 0
