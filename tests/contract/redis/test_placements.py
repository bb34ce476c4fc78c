"""In which cell the upload of an Idempotency-Key is created, on Redis 6 and 7."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

KEY = "owner alice key"


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        yield opened


async def test_a_cell_is_noted_once(parts: RedisParts) -> None:
    claims = parts.claims
    found = await asyncio.gather(*(claims.claim(KEY, cell, ()) for cell in range(8)))
    assert len(set(found)) == 1
    assert await claims.claim(KEY, 9, [cell for cell in range(8) if cell != found[0]]) == found[0]
    assert await claims.claim("another", 255, ()) == 255


async def test_a_cell_that_is_lost_is_replaced(parts: RedisParts) -> None:
    claims = parts.claims
    assert await claims.claim(KEY, 12, ()) == 12
    assert await claims.claim(KEY, 3, [1, 12]) == 3
    assert await claims.claim(KEY, 12, ()) == 3


async def test_it_is_kept_as_long_as_the_key(parts: RedisParts) -> None:
    await parts.claims.claim(KEY, 12, ())
    kept_ms = await parts.client.pttl(f"{parts.keys.prefix}placement:{KEY}")
    assert 0 < kept_ms <= Settings().retention_seconds * 1000


async def test_the_cell_that_has_created_the_upload_knows_the_key(parts: RedisParts, play: Play) -> None:
    assert not await parts.claims.known(KEY)
    await play.board.create(new_upload(idempotency_key=KEY))
    assert await parts.claims.known(KEY)
