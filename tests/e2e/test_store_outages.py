"""A store that is unavailable for long, or loses objects.

Uploads wait, admission stops by itself, and an upload that fails in the end has a code and leaves nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.adapters.object_store.names import MULTIPART_PREFIX
from pipeline.core.segments import MEBIBYTE
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.faults.cells import outages, shaped_cell
from tests.harness.faults.client import PatientClient
from tests.harness.faults.kinds import Pass, Refuse
from tests.harness.media_samples import sample
from tests.harness.redis_calls import reply
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = 120.0
_SEGMENTS = 6


def _video() -> bytes:
    return sample("mp4").read_bytes().ljust(_SEGMENTS * SEGMENT_BYTES, b"\0")


async def _reserved(cell: Cell) -> int:
    """What is reserved for files, beside their journals."""
    key = f"{cell.keys.volume(cell.settings.volume)}:reservations"
    return sum(map(int, await reply(cell.redis.hvals(key))))


async def _stored_segments(cell: Cell) -> int:
    return sum([int((await cell.status(upload_id))["bytes_stored"]) for upload_id in cell.uploads]) // SEGMENT_BYTES


async def test_the_outage_budget_of_the_store_ends_and_cleanup_follows_once_it_is_back(
    servers: Servers, tmp_path: Path
) -> None:
    video = _video()
    async with shaped_cell(servers, tmp_path, "swift", store_patience_seconds=3) as (cell, shaper):
        client = PatientClient(cell)
        upload = await client.create(len(video))
        for number in (2, 3, 4):  # without the first no metadata, and without metadata no early release
            await cell.put(upload, number, video)
        await eventually(lambda: _some_stored(cell), _SECONDS, lambda: "the first half to be stored")
        await shaper.set(Refuse())
        await client.send(upload, video)
        view = await client.end(upload["id"], wanted="failed")
        assert view["error"]["code"] == "STORE_UNAVAILABLE"
        assert await outages(cell) >= 1, "it was retried"

        # An upload that cannot be cleaned up keeps its reservation: the same room is never promised twice.
        async def tried_to_clean() -> bool:
            return "upload.cleanup_deferred" in cell.processes.log_path("worker-all").read_text()

        await eventually(tried_to_clean, _SECONDS, lambda: "cleanup to be deferred")
        assert await _reserved(cell) == len(video)
        assert [path.name for path in cell.settings.temp_dir.glob("*.data")]
        await shaper.set(Pass())
        await cell.until_clean()
        assert await _reserved(cell) == 0


async def _some_stored(cell: Cell) -> bool:
    return await _stored_segments(cell) >= 3


async def test_admission_stops_while_the_store_is_unavailable_and_continues_by_itself(
    servers: Servers, tmp_path: Path
) -> None:
    video = _video()
    budget = 2 * len(video) + SEGMENT_BYTES
    async with shaped_cell(servers, tmp_path, "swift", temp_budget_bytes=budget, temp_share=1) as (cell, shaper):
        await shaper.set(Refuse())
        client = PatientClient(cell, seconds=240)
        uploads = [await client.create(len(video)) for _ in range(5)]
        assert [upload["status"] for upload in uploads] == ["admitted"] * 2 + ["waiting"] * 3
        sending = [asyncio.create_task(client.send(upload, video)) for upload in uploads]

        async def full_and_stuck() -> bool:
            first = [(await cell.status(upload["id"]))["status"] for upload in uploads[:2]]
            return first == ["processing"] * 2 and await outages(cell) >= 6

        await eventually(full_and_stuck, _SECONDS, lambda: "the volume to be full of what cannot be stored", 0.2)
        later = [await cell.status(upload["id"]) for upload in uploads[2:]]
        assert [view["status"] for view in later] == ["waiting"] * 3
        assert [view["queue_position"] for view in later] == [1, 2, 3]
        assert await _reserved(cell) == 2 * len(video)

        await shaper.set(Pass())
        await asyncio.gather(*sending)
        await asyncio.gather(*(client.end(upload["id"]) for upload in uploads))
        for upload in uploads:
            assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == video
        assert client.codes <= {"UPLOAD_WAITING"}
        await cell.until_clean()


async def _delete_container(cell: Cell, servers: Servers, name: str) -> None:
    """Delete all objects of the container, then the container."""
    swift = servers.swift
    login = {"X-Auth-User": swift.user, "X-Auth-Key": swift.key}
    async with cell.http.get(swift.auth_url, headers=login) as response:
        headers = {"X-Auth-Token": response.headers["X-Auth-Token"]}
    url = f"{swift.storage_url}/{name}"

    async def gone() -> bool:
        async with cell.http.get(url, headers=headers) as listing:
            names = (await listing.text()).split()
        for item in names:
            async with cell.http.delete(f"{url}/{item}", headers=headers):
                pass
        async with cell.http.delete(url, headers=headers) as deleted:
            return deleted.status in (204, 404)

    await eventually(gone, _SECONDS, lambda: f"{name} to be deleted")


async def test_a_bucket_deleted_during_an_upload_is_recreated(servers: Servers, tmp_path: Path) -> None:
    """Its multipart uploads are gone too, so every part is sent again. Every process has used the bucket before."""
    video = sample("mp4").read_bytes().ljust(11 * MEBIBYTE, b"\0")
    async with shaped_cell(servers, tmp_path, "s3") as (cell, _):
        client = PatientClient(cell)
        upload = await client.create(len(video))
        await cell.put(upload, 1, video)

        async def first_is_stored() -> bool:
            return bool((await cell.status(upload["id"]))["bytes_stored"])

        await eventually(first_is_stored, _SECONDS, lambda: "the first part to be stored")
        for name in (f"{cell.settings.s3_bucket}+segments", cell.settings.s3_bucket):
            await _delete_container(cell, servers, name)
        await client.send(upload, video)
        await client.end(upload["id"])
        assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == video
        assert not [key for key in await cell.stored_keys() if key.startswith(MULTIPART_PREFIX)]
        await cell.until_clean()


@pytest.mark.parametrize("which", ["segments", "both"])
async def test_containers_deleted_during_uploads_are_recreated(servers: Servers, tmp_path: Path, which: str) -> None:
    """Segments of uploads in flight are stored again from the temp volume."""
    video = _video()
    async with shaped_cell(servers, tmp_path, "swift") as (cell, _):
        client = PatientClient(cell)
        uploads = [await client.create(len(video)) for _ in range(2)]
        for upload in uploads:
            for number in (2, 3, 4):  # without the first no metadata, and without metadata no early release
                await cell.put(upload, number, video)

        async def half_is_stored() -> bool:
            return await _stored_segments(cell) == 6

        await eventually(half_is_stored, _SECONDS, lambda: "the first halves to be stored")
        await _delete_container(cell, servers, f"{cell.settings.swift_container}_segments")
        if which == "both":
            await _delete_container(cell, servers, cell.settings.swift_container)
        await asyncio.gather(*(client.send(upload, video) for upload in uploads))
        for upload in uploads:
            await client.end(upload["id"])
            assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == video
        await cell.until_clean()
