"""A Redis that comes back without its last second: an Idempotency-Key never creates a second upload beside
one that has been admitted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts, volume_parts
from pipeline.bootstrap.volume import VolumeParts
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload, Upload
from pipeline.settings import Settings
from pipeline.uploads.lookup import find_upload
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


async def admitted(volume: VolumeParts, key: str) -> Upload:
    """An upload with a journal, which keeps the key of its creation."""
    await volume.admission.require_open()
    upload, created = await volume.cell.record.create(with_key(key))
    assert created
    await volume.admission.request(upload)
    upload = await volume.cell.uploads.get(upload.upload_id)
    assert upload.status is Status.ADMITTED
    return upload


async def roll_back(redis: RedisParts, upload_id: str, key: str) -> None:
    """Remove what Redis recorded of the upload, and let the server seem to be another run."""
    keys = redis.keys
    of_volume = [name async for name in redis.client.scan_iter(f"{keys.volume('local')}:*")]
    await redis.client.delete(keys.upload(upload_id), f"{keys.prefix}idempotency:{key}", *of_volume)
    for status in (Status.WAITING, Status.ADMITTED):
        for index in (keys.uploads, keys.status(status), keys.listed(status)):
            await redis.client.zrem(index, upload_id)
    none = {"followed_run": "the run before", "reserved_bytes": 0, "backed_bytes": 0}
    await reply(redis.client.hset(keys.volume("local"), mapping=none))


async def test_a_repeated_key_finds_the_admitted_upload_that_redis_has_lost(parts: Parts) -> None:
    redis, volume = parts
    upload = await admitted(volume, "key")
    before = await redis.ledger.snapshot()
    await roll_back(redis, upload.upload_id, "key")

    await volume.admission.require_open()
    again, created = await volume.cell.record.create(with_key("key"))
    assert (again.upload_id, again.status, created) == (upload.upload_id, Status.ADMITTED, False)
    assert await redis.ledger.followed_run() == await redis.board.server_run()
    after = await redis.ledger.snapshot()
    assert (after.reserved_bytes, after.backed_bytes) == (before.reserved_bytes, before.backed_bytes)


async def test_a_waiting_upload_that_redis_has_lost_is_created_again(parts: Parts) -> None:
    """Nothing of it is on the temp volume, and its client has sent nothing."""
    redis, volume = parts
    await volume.admission.require_open()
    upload, _ = await volume.cell.record.create(with_key("key"))
    await roll_back(redis, upload.upload_id, "key")

    await volume.admission.require_open()
    with pytest.raises(RequestError) as refused:
        await find_upload(volume.cell.uploads, volume.cell.journals, upload.upload_id)
    assert refused.value.code == "UPLOAD_NOT_FOUND"
    again, created = await volume.cell.record.create(with_key("key"))
    assert created
    assert again.upload_id != upload.upload_id


async def test_no_upload_is_created_while_the_journals_cannot_be_read(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, volume = parts
    upload = await admitted(volume, "key")
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
