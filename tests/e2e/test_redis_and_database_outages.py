"""Redis and PostgreSQL are unavailable during uploads.

Acknowledged segments stay, uploads continue by themselves, and the API responds 503 with a code without delay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import SEPARATE
from deploy.embedded import EmbeddedStack
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.faults.cells import outages
from tests.harness.faults.client import PatientClient
from tests.harness.media_samples import sample
from tests.harness.outages import frozen, killed
from tests.harness.running import running_cell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = 120.0
_SEGMENTS = 8
_ALL_BUT_THE_LAST = range(1, _SEGMENTS)
"""What is sent before an outage, so that no upload ends before it."""
# Twice the timeout of our Redis client (`bootstrap.redis`): a segment is recorded, and given up after that. The rest is
# what a busy machine adds.
_QUICK_SECONDS = 25.0


def _video() -> bytes:
    return sample("mp4").read_bytes().ljust(_SEGMENTS * SEGMENT_BYTES, b"\0")


async def _all_equal(cell: Cell, video: bytes) -> None:
    for upload_id in cell.uploads:
        assert await cell.read((await cell.content(upload_id))["object"]["key"]) == video


async def _some_stored(cell: Cell) -> bool:
    return any([int((await cell.status(upload_id))["bytes_stored"]) for upload_id in cell.uploads])


async def _refusal(cell: Cell, method: str, path: str, **options: Any) -> tuple[dict[str, Any], Mapping[str, str]]:
    """A 503 with Retry-After, without delay."""
    began = time.monotonic()
    status, body, headers = await cell.call(method, path, **options)
    assert time.monotonic() - began < _QUICK_SECONDS
    assert status == 503, body
    assert int(headers["Retry-After"]) > 0
    error: dict[str, Any] = body["error"]
    return error, headers


async def test_without_the_database_uploads_are_stored_and_wait_at_persist(
    own_servers: EmbeddedStack, tmp_path: Path
) -> None:
    video = _video()
    async with running_cell(own_servers, tmp_path) as cell:
        client = PatientClient(cell)
        uploads = [await client.create(len(video)) for _ in range(3)]
        sending = asyncio.gather(*(client.send(upload, video, numbers=_ALL_BUT_THE_LAST) for upload in uploads))
        await eventually(lambda: _some_stored(cell), _SECONDS, lambda: "segments to be stored")
        with killed(own_servers, "postgres"):
            await sending
            await asyncio.gather(*(client.send(upload, video, numbers=[_SEGMENTS]) for upload in uploads))
            uploads.append(await client.create(len(video)))
            await client.send(uploads[-1], video)

            async def all_wait_at_persist() -> bool:
                for upload in uploads:
                    view = await cell.status(upload["id"])
                    assert view["status"] in ("receiving", "processing"), view
                    if view["stages"]["persist"]["error_code"] != "DATABASE_UNAVAILABLE":
                        return False
                    assert view["bytes_stored"] == len(video)
                return True

            await eventually(all_wait_at_persist, _SECONDS, lambda: "everything but the row to be there")
            for path in ("/v1/contents", f"/v1/contents/{uploads[0]['id']}"):
                error, _ = await _refusal(cell, "GET", path)
                assert error["code"] == "DATABASE_UNAVAILABLE"
            assert not client.codes, "the uploads API needs no database"
        await asyncio.gather(*(client.end(upload["id"]) for upload in uploads))
        await _all_equal(cell, video)
        await cell.until_clean()


async def test_the_outage_budget_of_the_database_ends(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    video = _video()
    async with running_cell(own_servers, tmp_path, database_patience_seconds=2) as cell:
        client = PatientClient(cell)
        with killed(own_servers, "postgres"):
            upload = await client.create(len(video))
            await client.send(upload, video)
            view = await client.end(upload["id"], wanted="failed")
            assert view["error"]["code"] == "DATABASE_UNAVAILABLE"
            assert await outages(cell) >= 1
            assert await cell.stored_keys(), "whether the row exists is unknown, so the objects that it would name stay"
        await cell.until_clean()


async def test_redis_is_killed_during_uploads(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """Twice; it starts again from its append-only file."""
    video = _video()
    async with running_cell(own_servers, tmp_path, workers=SEPARATE) as cell:
        client = PatientClient(cell)
        uploads = [await client.create(len(video)) for _ in range(6)]
        sending = asyncio.gather(*(client.send(upload, video, numbers=_ALL_BUT_THE_LAST) for upload in uploads))
        await eventually(lambda: _some_stored(cell), _SECONDS, lambda: "segments to be stored")
        with killed(own_servers, "redis"):
            error, _ = await _refusal(cell, "GET", f"/v1/uploads/{uploads[0]['id']}")
            assert error["code"] == "REDIS_UNAVAILABLE"
            new = {"filename": "a.mp4", "size": 1, "content_type": "video/mp4"}
            error, _ = await _refusal(cell, "POST", "/v1/uploads", json=new)
            assert error["code"] == "REDIS_UNAVAILABLE"
        await sending
        with killed(own_servers, "redis"):
            pass
        await asyncio.gather(*(client.send(upload, video, numbers=[_SEGMENTS]) for upload in uploads))
        await asyncio.gather(*(client.end(upload["id"]) for upload in uploads))
        assert client.slowest_seconds < _QUICK_SECONDS
        await _all_equal(cell, video)
        await cell.until_clean()


# Outage, upload lease, stage lease in seconds: the outage is much longer than the stage lease, not than the other.
_OUTAGES = {
    "in proportion": (8.0, 120.0, 0.8),
    "a minute": (60.0, 900.0, 6.0),
}


@pytest.mark.parametrize("name", _OUTAGES)
async def test_redis_hangs_during_uploads(own_servers: EmbeddedStack, tmp_path: Path, name: str) -> None:
    video = _video()
    outage_seconds, lease_seconds, stage_lease_seconds = _OUTAGES[name]
    async with running_cell(
        own_servers, tmp_path, lease_seconds=lease_seconds, stage_lease_seconds=stage_lease_seconds
    ) as cell:
        client = PatientClient(cell, seconds=outage_seconds + _SECONDS)
        uploads = [await client.create(len(video)) for _ in range(4)]
        idle = await client.create(len(video))
        await cell.put(idle, 1, video)
        sending = asyncio.gather(*(client.send(upload, video, numbers=_ALL_BUT_THE_LAST) for upload in uploads))
        await eventually(lambda: _some_stored(cell), _SECONDS, lambda: "segments to be stored")
        with frozen(own_servers, "redis"):
            began = time.monotonic()
            while time.monotonic() - began < outage_seconds:
                error, _ = await _refusal(cell, "GET", f"/v1/uploads/{idle['id']}")
                assert error["code"] == "REDIS_UNAVAILABLE"
        await sending
        await asyncio.gather(*(client.send(upload, video, numbers=[_SEGMENTS]) for upload in uploads))
        await client.send(idle, video)
        await asyncio.gather(*(client.end(upload["id"]) for upload in (*uploads, idle)))
        assert client.codes <= {"REDIS_UNAVAILABLE", "UPLOAD_WAITING"}
        assert client.slowest_seconds < _QUICK_SECONDS
        await _all_equal(cell, video)
        await cell.until_clean()


async def test_redis_hangs_for_longer_than_an_uploads_lease(own_servers: EmbeddedStack, tmp_path: Path) -> None:
    """The lease could not be renewed, which does not show that the client is gone."""
    video = _video()
    async with running_cell(own_servers, tmp_path, lease_seconds=5, stage_lease_seconds=0.8) as cell:
        client = PatientClient(cell)
        upload = await client.create(len(video))
        await cell.put(upload, 1, video)
        with frozen(own_servers, "redis"):
            began = time.monotonic()
            while time.monotonic() - began < 10:
                await _refusal(cell, "GET", f"/v1/uploads/{upload['id']}")
        await client.send(upload, video)
        await client.end(upload["id"])
        await cell.until_clean()
