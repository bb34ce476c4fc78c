"""`sluice replay` with a real store, a real PostgreSQL and the sandboxed reader; its runner is really killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pipeline.core.stored_objects import object_key, thumbnail_key
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_OTHER_JPEG = b"\xff\xd8 of an earlier release"
_SECONDS = 120.0


@pytest.fixture(scope="module")
def swift_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with cell_processes(servers, tmp_path_factory.mktemp("replay")) as started:
        yield started


@pytest.fixture
async def cell(swift_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with swift_cell.connected() as connected:
        yield connected


@pytest.fixture
async def database(cell: Cell) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(cell.settings.database_url.get_secret_value())
    yield connection
    await connection.close()


@asynccontextmanager
async def started(cell: Cell, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`sluice replay` with these arguments. It does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "replay", *arguments),
        env={**cell.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def replay(cell: Cell, *arguments: str, status: int = 0) -> Any:
    """The JSON that `sluice replay` prints, by line if there are several."""
    async with started(cell, *arguments, "--json") as process:
        output, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
        assert process.returncode == status, errors.decode()
    lines = [json.loads(line) for line in output.decode().splitlines()]
    return lines[0] if len(lines) == 1 else lines


def counts(ended: Mapping[str, Any]) -> dict[str, int]:
    return {name: ended[name] for name in ("changed", "unchanged", "failed", "skipped") if ended[name]}


async def thumbnails(cell: Cell, content_id: str) -> list[str]:
    """The names of a content's thumbnails in the store."""
    return [key for key in await cell.stored_keys() if key.startswith(f"contents/{content_id}/thumbnail")]


async def of_earlier_release(cell: Cell, database: asyncpg.Connection, content_id: str) -> None:
    """Give a content a thumbnail that this release would not make."""
    stored = await cell.store.put_object(thumbnail_key(content_id), _OTHER_JPEG, "image/jpeg")
    change = json.dumps({"size_bytes": stored.size_bytes, "etag": stored.etag})
    await database.execute("UPDATE contents SET thumbnail = thumbnail || $2 WHERE id = $1", content_id, change)


async def test_thumbnails_are_replaced_and_metadata_is_read_again(cell: Cell, database: asyncpg.Connection) -> None:
    film, picture, sound = [(await cell.upload(sample(name).read_bytes()))["id"] for name in ("mp4", "jpeg", "mp3")]
    made = (await cell.content(film))["thumbnail"]
    jpeg = await cell.read(made["key"])
    await of_earlier_release(cell, database, film)
    version = "SELECT array_agg(xmin::text ORDER BY id) FROM contents WHERE id <> $1"
    others = await database.fetchval(version, film)

    ended = await replay(cell, "thumbnail", "--max-size-bytes", str(10**9))
    assert counts(ended) == {"changed": 1, "unchanged": 2}
    assert await database.fetchval(version, film) == others, "an unchanged content is not written"
    replaced = (await cell.content(film))["thumbnail"]
    assert replaced["key"] != made["key"], "caches have the old thumbnail under the old name"
    assert await thumbnails(cell, film) == [replaced["key"]]
    for path in (f"/v1/contents/{film}/thumbnail?via=gateway", f"/v1/uploads/{film}/thumbnail"):
        async with cell.http.get(cell.url + path) as response:
            assert (response.status, await response.read()) == (200, jpeg)
            assert response.headers["ETag"] == f'"{replaced["etag"]}"'
    assert counts(await replay(cell, "thumbnail")) == {"unchanged": 3}
    assert (await cell.content(film))["thumbnail"] == replaced

    before = await cell.content(film)
    await database.execute("UPDATE contents SET media = media - 'bit_rate', width = NULL WHERE id = $1", film)
    assert (await cell.content(film))["bit_rate"] is None
    assert await replay(cell, "probe", "--kind", "video", "--dry-run") == {
        "contents": 1,
        "size_bytes": len(sample("mp4").read_bytes()),
    }
    assert counts(await replay(cell, "probe")) == {"changed": 1, "unchanged": 2}
    assert await cell.content(film) == before

    await cell.store.delete(object_key(picture))
    await cell.store.put_object(object_key(sound), sample("random").read_bytes(), "audio/mpeg")
    damaged = await cell.store.within(cell.store.container).head(object_key(sound))
    write = "UPDATE contents SET etag = $2, size_bytes = $3 WHERE id = $1"
    await database.execute(write, sound, damaged.etag, damaged.size_bytes)
    rows = [await cell.content(name) for name in (picture, sound)]
    ended = await replay(cell, "probe", status=1)
    assert counts(ended) == {"unchanged": 1, "failed": 2}
    failures = await replay(cell, "show", ended["id"], "--failures")
    assert {item["content_id"]: item["code"] for item in failures} == {
        picture: "STORE_OBJECT_MISSING",
        sound: "NOT_MEDIA",
    }
    assert [await cell.content(name) for name in (picture, sound)] == rows
    for name in (film, picture, sound):
        await cell.call("DELETE", f"/v1/contents/{name}", expect=200)
    assert await thumbnails(cell, film) == []


async def test_a_killed_runner_leaves_nothing_behind_and_others_continue(
    cell: Cell, database: asyncpg.Connection
) -> None:
    data = sample("jpeg").read_bytes()
    ids = [(await cell.upload(data, filename=f"{number}.jpg"))["id"] for number in range(6)]
    for name in ids:
        await of_earlier_release(cell, database, name)
    locked = ids[2]
    (transaction := database.transaction())
    await transaction.start()
    await database.execute("SELECT FROM contents WHERE id = $1 FOR UPDATE", locked)

    async def between_store_and_row() -> bool:
        return len(await thumbnails(cell, locked)) == 2

    chosen = [option for name in ids for option in ("--id", name)]
    async with started(cell, "thumbnail", *chosen) as runner:
        await eventually(between_store_and_row, _SECONDS, lambda: "the third content's thumbnail to be stored")
        os.kill(runner.pid, signal.SIGKILL)
        await runner.wait()
    await transaction.rollback()
    (killed, *_) = await replay(cell, "list")
    assert (counts(killed), killed["state"], killed["stage"]) == ({"changed": 2}, "running", "thumbnail")

    await cell.call("DELETE", f"/v1/contents/{ids[5]}", expect=200)
    await database.execute("UPDATE replay_contents SET due_at = clock_timestamp()")  # as time does
    both = await asyncio.gather(*(replay(cell, "resume", killed["id"]) for _ in range(2)))
    assert [item["state"] for item in both] == ["done", "done"]
    assert max(item["changed"] for item in both) == 5
    for name in ids[:5]:
        (stored,) = await thumbnails(cell, name)
        row = (await cell.content(name))["thumbnail"]
        assert (row["key"], row["etag"]) == (stored, (await cell.store.head(stored)).etag)
        assert stored != thumbnail_key(name)
    assert await thumbnails(cell, ids[5]) == []
    assert await database.fetchval("SELECT count(*) FROM replay_contents WHERE replay_id = $1", killed["id"]) == 0


async def test_an_interrupted_runner_releases_what_it_has(cell: Cell, database: asyncpg.Connection) -> None:
    ids = [(await cell.upload(sample("jpeg").read_bytes()))["id"] for _ in range(2)]
    chosen = [option for name in ids for option in ("--id", name)]

    async def one_is_done() -> bool:
        return bool(await database.fetchval("SELECT unchanged = 1 FROM replays ORDER BY created_at DESC LIMIT 1"))

    async with started(cell, "probe", *chosen, "--rate", "0.01") as runner:
        await eventually(one_is_done, _SECONDS, lambda: "one content to be done")
        runner.terminate()
        _, errors = await runner.communicate()
    assert runner.returncode == 130
    replay_id = str(await database.fetchval("SELECT id FROM replays ORDER BY created_at DESC LIMIT 1"))
    assert f"sluice replay resume {replay_id}" in errors.decode()
    stopped = await replay(cell, "stop", replay_id)
    assert (stopped["state"], stopped["in_progress"]) == ("stopped", 0)
    ended = await replay(cell, "resume", replay_id, "--rate", "1000", "--concurrency", "2")
    assert (ended["state"], ended["unchanged"]) == ("done", 2)
