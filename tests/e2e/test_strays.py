"""What comes to a store after its upload was cleaned up is found and removed; what could be a content never is."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uuid6 import uuid7

from deploy.embedded import EmbeddedStack
from pipeline.bootstrap import worker_services
from pipeline.core.model import ObjectTarget, object_key
from pipeline.core.segments import SegmentPlan
from pipeline.ports import TransferSessions
from pipeline.stages.strays import StrayRules
from tests.cell import Cell, eventually, running_cell
from tests.e2e.direct_client import video
from tests.media_samples import sample

pytestmark = pytest.mark.e2e


async def sweep(cell: Cell, **rules: float) -> None:
    async with worker_services(cell.settings) as services:
        services.strays.rules = StrayRules(**rules)
        await services.strays.sweep()


def target_of(upload_id: str) -> ObjectTarget:
    return ObjectTarget(upload_id, object_key(upload_id), "video/mp4", SegmentPlan(20 * 1024 * 1024, 5 * 1024 * 1024))


def of_last_month() -> str:
    """An upload's id as it was given out then: version 7 begins with the milliseconds."""
    long_ago_ms = int((time.time() - 30 * 24 * 3600) * 1000)
    bits = (long_ago_ms << 80) | (uuid7().int & ((1 << 80) - 1))
    return str(uuid.UUID(int=bits))


async def cleaned(cell: Cell, upload_id: str) -> None:
    """Wait until the upload has ended and everything of it that was known is removed."""

    async def released() -> bool:
        return bool(await cell.redis.hget(cell.keys.upload(upload_id), "released_at_ms"))  # type: ignore[misc]

    await eventually(released, 60, lambda: "the upload to be cleaned up")


async def test_a_transfer_that_nobody_has_recorded_is_ended(servers: EmbeddedStack, tmp_path: Path) -> None:
    """As of a worker that was frozen between opening it and writing it down."""
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
        # One of an upload that is alive may just be recorded; of one that nobody knows, another installation may.
        assert left == {list(begun.values())[1].key, list(begun.values())[3].key, foreign.key}
        for target in (*begun.values(), foreign):
            await cell.store.abort(target)


async def test_what_a_client_sent_too_late_is_removed(servers: EmbeddedStack, tmp_path: Path) -> None:
    """A grant is looked at when a request begins; this one ends when its upload has long been cleaned up.

    Of a segment: Swift lets a DELETE win over a PUT of the same name that began before it, so a plain object could not
    stray here.
    """
    settings: dict[str, Any] = {"store": "swift", "swift_tempurl_key": "k", "upload_grant_seconds": 2}
    async with running_cell(servers, tmp_path, **settings) as cell:
        data = video(cell)
        kept = await cell.upload(sample("jpeg").read_bytes(), content_type="image/jpeg")
        upload = await cell.create(len(data), transport="direct")
        grant = upload["grants"]["segments"][0]
        begun, finish = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield data[:500]
            begun.set()
            await finish.wait()
            yield data[500 : grant["size"]]

        async def put() -> int:
            headers = {**grant["headers"], "Content-Length": str(grant["size"])}
            async with cell.http.put(grant["url"], data=slowly(), headers=headers) as answer:
                return answer.status

        putting = asyncio.create_task(put())
        await begun.wait()
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        await cleaned(cell, upload["id"])
        finish.set()
        assert await putting in (200, 201)

        async def shows() -> bool:
            return any(upload["id"] in key for key in await cell.stored_keys())

        await eventually(shows, 30, lambda: "the store to list what was sent")
        await sweep(cell, look_back_seconds=0)
        assert await shows(), "what ended long ago is not looked at for ever"
        await sweep(cell)
        assert not await shows()
        key = (await cell.content(kept["id"]))["object"]["key"]
        assert await cell.read(key) == sample("jpeg").read_bytes()
        await cell.until_clean()


async def test_half_written_files_are_removed(servers: EmbeddedStack, tmp_path: Path) -> None:
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
