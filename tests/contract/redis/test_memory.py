"""What uploads take of Redis' memory: the constants by which `sluice doctor` estimates it. To see what is measured:
`.venv/bin/pytest -s tests/contract/redis/test_memory.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.cli.doctor.redis_memory import LARGEST_UPLOAD_BYTES, PLAIN_UPLOAD_BYTES
from pipeline.bootstrap import RedisParts
from pipeline.core.admission import DiskReading
from schemas.metadata import METADATA_BYTES
from schemas.uploads import CreateUpload
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import redis_server_of

pytestmark = pytest.mark.contract

_COUNT = 300
_VALUE = 1024


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server of its own: the measurement counts whatever Redis has in memory."""
    with redis_server_of("redis-6", tmp_path_factory.mktemp("redis")) as server:
        yield server.url


async def bytes_per_upload(parts: RedisParts, filename: str, character: str) -> float:
    """Of uploads that wait; `character` fills their metadata."""
    await parts.ledger.open("run")
    disk = DiskReading(free_bytes=0, headroom_bytes=0, epoch=0)
    before = await _data_bytes(parts)
    key_bytes, width = 4, len(character.encode())
    count = METADATA_BYTES // (key_bytes + _VALUE * width)
    metadata = {f"{number:04}": character * _VALUE for number in range(count)} if character else {}
    CreateUpload(filename=filename, size=1, metadata=metadata)
    for number in range(_COUNT):
        new = new_upload(filename=filename, metadata=metadata, owner="o" * 128, idempotency_key=f"{number:0255}")
        upload, _ = await parts.board.create(new)
        await parts.ledger.request(upload.upload_id, 25, disk)
    return (await _data_bytes(parts) - before) / _COUNT


async def _data_bytes(parts: RedisParts) -> int:
    """What Redis has in memory, less the buffers of its append-only file, which grow while the disk is slow."""
    info = await parts.client.info("memory")
    return int(info["used_memory"]) - int(info["mem_aof_buffer"])


async def test_a_plain_upload_takes_what_doctor_estimates(parts: RedisParts) -> None:
    measured = await bytes_per_upload(parts, "holiday.mp4", "")
    print(f"\n{measured:.0f} bytes per upload without metadata")  # noqa: T201  # the measurement
    assert PLAIN_UPLOAD_BYTES / 2 < measured < PLAIN_UPLOAD_BYTES


@pytest.mark.parametrize("character", ["x", "é", "\x01"])
async def test_the_largest_upload_takes_no_more_than_doctor_estimates(parts: RedisParts, character: str) -> None:
    measured = await bytes_per_upload(parts, "é" * 255, character)
    print(f"\n{measured:.0f} bytes per upload with metadata of {character!r}")  # noqa: T201  # the measurement
    assert measured < LARGEST_UPLOAD_BYTES
