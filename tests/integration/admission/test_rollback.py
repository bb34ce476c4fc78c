"""A Redis that comes back without its last second: an Idempotency-Key never creates a second upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts, volume_parts
from pipeline.bootstrap.volume import VolumeParts
from pipeline.core.errors import DependencyUnavailable, TempVolumeError
from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload
from pipeline.settings import Settings
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.integration

Parts = tuple[RedisParts, VolumeParts]


@pytest.fixture
async def parts(redis_url: str, redis_namespace: str, tmp_path: Path) -> AsyncIterator[Parts]:
    """A cell without processes, as a gateway sees it."""
    settings = Settings(
        redis_url=SecretStr(redis_url),
        redis_namespace=redis_namespace,
        temp_dir=tmp_path,
        temp_budget_bytes=10_000,
        temp_headroom_bytes=0,
    )
    async with redis_parts(settings) as redis:
        yield redis, volume_parts(settings, redis)


def with_key(key: str) -> NewUpload:
    return new_upload(store="none", idempotency_key=key, fingerprint="same")


async def roll_back(redis: RedisParts, upload_id: str, key: str) -> None:
    """Remove what Redis recorded of the upload, and let the server seem to be another run."""
    keys = redis.keys
    await redis.client.delete(keys.upload(upload_id), f"{keys.prefix}idempotency:{key}")
    for index in (keys.uploads, keys.status(Status.WAITING), keys.listed(Status.WAITING)):
        await redis.client.zrem(index, upload_id)
    await reply(redis.client.hset(keys.volume("local"), "followed_run", "the run before"))


async def test_a_repeated_key_finds_the_upload_that_redis_has_lost(parts: Parts) -> None:
    redis, volume = parts
    await volume.admission.require_open()
    upload, created = await volume.cell.record.create(with_key("key"))
    assert created
    await roll_back(redis, upload.upload_id, "key")

    await volume.admission.require_open()
    again, created = await volume.cell.record.create(with_key("key"))
    assert (again.upload_id, created) == (upload.upload_id, False)
    assert await redis.ledger.followed_run() == await redis.board.server_run()


async def test_no_upload_is_created_while_the_journals_cannot_be_read(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, volume = parts
    await volume.admission.require_open()
    upload, _ = await volume.cell.record.create(with_key("key"))
    await roll_back(redis, upload.upload_id, "key")

    async def fails(self: object) -> list[str]:
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason="EIO")

    monkeypatch.setattr(type(volume.cell.journals), "ids", fails)
    with pytest.raises(DependencyUnavailable) as refused:
        await volume.admission.require_open()
    assert refused.value.code == "VOLUME_RECOVERING"


async def test_a_comparison_that_redis_loses_everything_in_does_not_open_the_volume(parts: Parts) -> None:
    redis, volume = parts
    await volume.admission.require_open()
    await redis.client.delete(redis.keys.volume("local"))
    await redis.ledger.follow("this run")
    assert await redis.ledger.epoch() is None
