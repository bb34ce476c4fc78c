"""Orphaned objects: what reaches a store after its upload was cleaned up is removed, a possible content never."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from uuid6 import uuid7

from pipeline.bootstrap import worker_services
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import WorkerType
from pipeline.core.stored_objects import ObjectTarget, object_key
from pipeline.ports import TransferSessions
from pipeline.upkeep.orphaned_objects import OrphanRules
from tests.contract.object_store.uploads import MemorySource, some_bytes
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


async def sweep(cell: Cell, rules: OrphanRules | None = None) -> None:
    async with worker_services(cell.settings, [WorkerType.ADMISSION]) as services:
        assert services.admission is not None
        services.admission.orphaned_objects.rules = rules or OrphanRules()
        await services.admission.orphaned_objects.sweep()


def target_of(upload_id: str) -> ObjectTarget:
    return ObjectTarget(upload_id, object_key(upload_id), "video/mp4", SegmentPlan(20 * 1024 * 1024, 5 * 1024 * 1024))


def of_last_month() -> str:
    """An upload id of last month: a UUIDv7 begins with the time in milliseconds."""
    long_ago_ms = int((time.time() - 30 * 24 * 3600) * 1000)
    bits = (long_ago_ms << 80) | (uuid7().int & ((1 << 80) - 1))
    return str(uuid.UUID(int=bits))


async def cleaned(cell: Cell, upload_id: str) -> None:
    """Wait until the upload has ended and is cleaned up."""

    async def released() -> bool:
        return bool(await hash_get(cell.redis, cell.keys.upload(upload_id), "released_at_ms"))

    await eventually(released, 60, lambda: "the upload to be cleaned up")


async def test_an_unrecorded_multipart_upload_is_aborted(servers: Servers, tmp_path: Path) -> None:
    """A worker was frozen after it had opened a multipart upload and before it recorded it."""
    async with running_cell(servers, tmp_path, store="s3") as cell:
        assert isinstance(cell.store, TransferSessions)
        ended, alive = await cell.create(1000), await cell.create(1000)
        await cell.call("DELETE", f"/v1/uploads/{ended['id']}", expect=200)
        await cleaned(cell, ended["id"])
        ours = {name: target_of(name) for name in (ended["id"], alive["id"], of_last_month(), str(uuid7()))}
        begun = {name: replace(target, session=await cell.store.begin(target)) for name, target in ours.items()}
        foreign = replace(target_of("x"), key="raw/somebody's own")
        foreign = replace(foreign, session=await cell.store.begin(foreign))

        await sweep(cell)
        left = {key async for key, _ in cell.store.open_sessions()}
        # Kept: that of an upload that is alive, and that of an unknown recent id, which may be of another installation.
        assert left == {list(begun.values())[1].key, list(begun.values())[3].key, foreign.key}
        for target in (*begun.values(), foreign):
            await cell.store.abort(target)


async def test_a_segment_stored_after_the_cleanup_is_removed(servers: Servers, tmp_path: Path) -> None:
    """A worker was frozen before it retried a segment. A request that began before the cleanup leaves nothing in Swift:
    the DELETE of the same name is later."""
    async with running_cell(servers, tmp_path, store="swift") as cell:
        kept = await cell.upload(sample("jpeg").read_bytes(), content_type="image/jpeg")
        upload = await cell.create(2 * SEGMENT_BYTES)
        await cell.put(upload, 1, some_bytes(2 * SEGMENT_BYTES))

        async def stored() -> bool:
            return bool((await cell.status(upload["id"]))["bytes_stored"])

        await eventually(stored, 60, lambda: "a segment to be stored")
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        await cleaned(cell, upload["id"])
        plan = SegmentPlan(2 * SEGMENT_BYTES, SEGMENT_BYTES)
        target = ObjectTarget(upload["id"], object_key(upload["id"]), "video/mp4", plan)
        await cell.store.put_segment(target, MemorySource(2, some_bytes(SEGMENT_BYTES)))

        async def shows() -> bool:
            return any(upload["id"] in key for key in await cell.stored_keys())

        await eventually(shows, 30, lambda: "the store to list what was sent")
        await sweep(cell, OrphanRules(look_back_seconds=0))
        assert await shows(), "uploads that ended long ago are not checked forever"
        await sweep(cell)
        assert not await shows()
        key = (await cell.content(kept["id"]))["object"]["key"]
        assert await cell.read(key) == sample("jpeg").read_bytes()
        await cell.until_clean()


async def test_half_written_files_are_removed(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(servers, tmp_path, store="filesystem") as cell:
        assert cell.settings.filesystem_dir is not None
        incoming = cell.settings.filesystem_dir / "incoming"
        incoming.mkdir(parents=True)
        old, fresh = incoming / "old", incoming / "fresh"
        for path in (old, fresh):
            path.write_bytes(b"half")
        day_ago = time.time() - 24 * 3600
        os.utime(old, (day_ago, day_ago))
        await sweep(cell)
        assert (old.exists(), fresh.exists()) == (False, True)
