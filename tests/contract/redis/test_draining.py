"""What a drained volume still takes, on Redis 6 and 7."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.transports import Transport
from pipeline.settings import Settings
from tests.contract.redis.joining import held_part, new_final
from tests.contract.redis.uploads import VOLUME, Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

ROOM = DiskReading(free_bytes=1 << 30, headroom_bytes=0, epoch=0)


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        await opened.ledger.open("run")
        yield opened


async def test_a_drained_volume_takes_final_uploads_only(parts: RedisParts, play: Play) -> None:
    held = await held_part(play)
    known, _ = await play.board.create(new_upload(idempotency_key="known"))
    assert await parts.draining.begin(VOLUME, "new")
    for transport in (Transport.GATEWAY, Transport.DIRECT, Transport.IMPORT, Transport.PARTIAL):
        with pytest.raises(DependencyUnavailable) as refused:
            await play.board.create(new_upload(transport=transport))
        assert (refused.value.code, refused.value.detail["volume"]) == ("VOLUME_DRAINING", VOLUME)
    assert await play.board.create(new_upload(volume="another"))
    again, created = await play.board.create(new_upload(idempotency_key="known"))
    assert (again.upload_id, created) == (known.upload_id, False)
    assert (await play.board.create(new_final([held])))[1]


async def test_what_remains_is_counted_by_volume(parts: RedisParts, play: Play) -> None:
    await play.admitted()
    await play.admitted(volume="another")
    waiting, _ = await play.board.create(new_upload())
    await parts.draining.begin(VOLUME, "all")
    outcome = await parts.ledger.request(waiting.upload_id, 4096, ROOM)
    assert outcome is not None
    assert (outcome.to_allocate, outcome.queue_position) == ((), 1), "there is room, and nothing is admitted"
    found = await parts.draining.remaining(VOLUME)
    assert (found.mode, found.waiting, found.in_flight["admitted"], found.cleaning) == ("all", 1, 1, 0)
    assert not found.is_empty

    assert await parts.draining.begin(VOLUME, "new")
    outcome = await parts.ledger.run(ROOM)
    assert outcome is not None
    assert [item.upload_id for item in outcome.to_allocate] == [waiting.upload_id]


async def test_an_unknown_volume_is_not_drained(parts: RedisParts) -> None:
    assert not await parts.draining.begin("unknown", "all")
    assert not await parts.draining.cancel("unknown")
    assert (await parts.draining.remaining("unknown")).mode is None
