"""docs/backup.md, with its own commands: a database is lost and restored, and so is Redis."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded import EmbeddedStack
from deploy.embedded.postgres import postgres_package
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.snippets import snippet

pytestmark = pytest.mark.e2e

_CLIENTS = postgres_package() / "pginstall/bin"


def _video(segments: int) -> bytes:
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES, b"\0")


async def _run(commands: str, directory: Path, environment: Mapping[str, str]) -> None:
    """Run a block of the guide, with this release's `sluice` and PostgreSQL's clients."""
    path = os.pathsep.join([str(_CLIENTS), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-eu", "-c", commands],
        cwd=directory,
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _block(containing: str) -> str:
    return snippet("backup.md", "sh", containing)


async def _lose_database(cell: Cell) -> None:
    url = cell.settings.database_url.get_secret_value()
    base, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{base}/postgres")
    try:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


async def test_contents_and_uploads_in_flight_survive_the_loss_of_both_databases(
    own_servers: EmbeddedStack, tmp_path: Path
) -> None:
    assert shutil.which("sh")
    video = _video(4)
    async with running_cell(own_servers, tmp_path) as cell:
        kept = [await cell.upload(video, metadata={"number": str(number)}) for number in range(2)]
        await _run(_block("pg_dump"), tmp_path, cell.environment)
        late = await cell.upload(video)
        flying = await cell.create(len(video))
        for number in (1, 3):
            await cell.put(flying, number, video)
        children = [cell.processes.child(name) for name in cell.processes.names]
        for child in children:
            child.stop()
        await _lose_database(cell)
        await cell.redis.flushall()
        await _run(_block("pg_restore"), tmp_path, cell.environment)
        for child in children:
            child.start()
        await cell.until_answered()
        await _run(_block("sluice recover"), tmp_path, cell.environment)

        for view in kept:
            content = await cell.content(view["id"])
            assert content["metadata"] == view["metadata"]
            assert await cell.read(content["object"]["key"]) == video
        await cell.call("GET", f"/v1/contents/{late['id']}", expect=404)
        assert any(late["id"] in key for key in await cell.stored_keys()), "its object is left alone"
        await cell.put_all(flying, video)
        await cell.until(flying["id"], "ready")

        async def listed() -> bool:
            _, body, _ = await cell.call("GET", "/v1/contents")
            return {item["id"] for item in body["data"]["items"]} == {*(view["id"] for view in kept), flying["id"]}

        await eventually(listed, 60, lambda: "the restored contents, and the new one")
