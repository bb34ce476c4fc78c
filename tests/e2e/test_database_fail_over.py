"""The primary of PostgreSQL is killed while uploads run: they wait at `persist`, and continue on its standby."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cell import eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.harness.standby import Pair, postgres_pair

pytestmark = pytest.mark.e2e

_UPLOADS = 6


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with postgres_pair(tmp_path) as started:
        yield started


async def test_uploads_continue_on_the_standby(servers: Servers, pair: Pair, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    await pair.synchronise()
    async with running_cell(servers, tmp_path, database_url=pair.url) as cell:
        before = await cell.upload(video)
        uploads = [await cell.create(len(video)) for _ in range(_UPLOADS)]
        await asyncio.gather(*(cell.put_all(upload, video) for upload in uploads[: _UPLOADS // 2]))
        pair.primary.stop(signal.SIGKILL)
        await asyncio.gather(*(cell.put_all(upload, video) for upload in uploads[_UPLOADS // 2 :]))

        async def waits() -> bool:
            stage = (await cell.status(uploads[-1]["id"]))["stages"]["persist"]
            return bool(stage["error_code"] == "DATABASE_UNAVAILABLE")

        await eventually(waits, 60, lambda: "an upload to wait for PostgreSQL")
        await pair.promote()
        for upload in uploads:
            await cell.until(upload["id"], "ready")
            content = await cell.content(upload["id"])
            assert await cell.read(content["object"]["key"]) == video
        assert (await cell.content(before["id"]))["id"] == before["id"], "the standby has each acknowledged row"
        await cell.until_clean()
