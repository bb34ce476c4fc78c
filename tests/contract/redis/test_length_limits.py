"""Limits of the owner of a file whose length is not known: claimed segments count. On each version of Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.adapters.redis.append_board import RedisAppendBoard
from pipeline.adapters.redis.reads import hash_all
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.segment_board import RedisSegmentBoard
from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.creation_limits import CreationLimits, CreationRate, OwnerLimits
from pipeline.core.errors import LimitReached, SluiceError
from pipeline.core.lifecycle import Event
from pipeline.core.model import Deferred, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.settings import Settings
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

FREE = OwnerLimits(10**6, 10**6, 2**50, None, CreationRate(1e6, 10**6))
VOLUME = "local"


@dataclass
class Boards:
    """The boards of one cell, with limits of owners."""

    parts: RedisParts
    segments: RedisSegmentBoard
    appends: RedisAppendBoard

    async def upload(self, owner: str = "ann") -> Upload:
        """One with segments of 10 bytes, and an append called `request`."""
        upload, _ = await self.parts.board.create(
            new_upload(owner=owner, size_bytes=0, deferred=Deferred.LENGTH, most_bytes=1000, window_bytes=60)
        )
        await self.parts.board.apply(upload.upload_id, Event.ADMIT)
        await self.appends.begin(upload.upload_id, "request", first=True, force=False)
        return upload

    async def claim(self, upload: Upload, number: int) -> None:
        await self.segments.claim(upload.upload_id, number, "request", 60, end_bytes=10 * number)

    async def counted(self, owner: str = "ann") -> int:
        fields = await hash_all(self.parts.client, f"{self.parts.keys.prefix}owner:{owner}")
        return int(fields.get("bytes", 0))


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        yield opened


def boards(parts: RedisParts, **more: Any) -> Boards:
    limits = CreationLimits(10**6, replace(FREE, **more))
    scripts = Scripts(parts.client, parts.keys.prefix)
    return Boards(
        parts,
        RedisSegmentBoard(parts.client, scripts, parts.keys, 10_000, limits=limits),
        RedisAppendBoard(parts.client, scripts, parts.keys, limits=limits),
    )


@pytest.mark.parametrize(
    ("limit", "code"), [({"bytes": 35}, "OWNER_LIMIT"), ({"bytes": 100, "bytes_per_day": 35}, "DAILY_LIMIT")]
)
async def test_the_segments_of_all_uploads_count(parts: RedisParts, limit: dict[str, int], code: str) -> None:
    play = boards(parts, **limit)
    first, second = await play.upload(), await play.upload()
    for number in (1, 2, 2):
        await play.claim(first, number)
    await play.claim(second, 1)
    assert await play.counted() == 30
    with pytest.raises(LimitReached) as raised:
        await play.claim(second, 2)
    assert raised.value.code == code
    with pytest.raises(LimitReached) as raised:
        await play.appends.check_length(second.upload_id, VOLUME, "request", 16)
    assert raised.value.code == code
    assert await play.counted() == 30
    await play.claim(await play.upload("ben"), 2)


async def test_a_file_alone_is_too_large(parts: RedisParts) -> None:
    play = boards(parts, bytes=25)
    upload = await play.upload()
    await play.claim(upload, 2)
    with pytest.raises(SluiceError) as raised:
        await play.claim(upload, 3)
    assert raised.value.code == "FILE_TOO_LARGE_FOR_OWNER"


async def test_the_length_frees_what_the_file_does_not_have(parts: RedisParts) -> None:
    play = boards(parts, bytes=35)
    first, second = await play.upload(), await play.upload()
    await play.claim(first, 3)
    await play.appends.check_length(first.upload_id, VOLUME, "request", 12)
    assert await play.counted() == 30
    await play.appends.set_length(first.upload_id, VOLUME, "request", SegmentPlan(12, 10))
    assert await play.counted() == 12
    await play.claim(second, 2)
    await play.appends.check_length(second.upload_id, VOLUME, "request", 23)
    assert await play.counted() == 35
    for upload in (first, second):
        await parts.board.apply(upload.upload_id, Event.CANCEL, ("UPLOAD_CANCELLED", "it is a test"))
    assert await play.counted() == 0


async def test_an_upload_that_has_ended_gets_no_length(parts: RedisParts) -> None:
    play = boards(parts)
    upload = await play.upload()
    await parts.board.apply(upload.upload_id, Event.CANCEL, ("UPLOAD_CANCELLED", "it is a test"))
    for token in ("request", None):
        verdict = await play.appends.set_length(upload.upload_id, VOLUME, token, SegmentPlan(12, 10))
        assert (verdict.status, verdict.size_bytes) == ("cancelled", None)
    assert await play.counted() == 0
