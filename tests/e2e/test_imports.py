"""Objects that are in the store already become contents, and stay where they are, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack
from tests.cell import SEGMENT_BYTES, Cell, CellProcesses, cell_processes, running_cell
from tests.media_samples import sample

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["swift", "s3"])
def store_cell(
    request: pytest.FixtureRequest, servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    with cell_processes(servers, tmp_path_factory.mktemp("import"), store=request.param) as started:
        yield started


@pytest.fixture
async def cell(store_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with store_cell.connected() as connected:
        yield connected


def long_video() -> bytes:
    """A video of several ranges: players and probes overlook what follows it."""
    return sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES + 7, b"\0")


async def _import(cell: Cell, key: str, expect: int = 201, **more: Any) -> dict[str, Any]:
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": key, **more}, expect=expect)
    view: dict[str, Any] = body["data"]
    cell.uploads.append(view["id"])
    return view


async def test_an_object_becomes_a_content_once(cell: Cell) -> None:
    data = long_video()
    key = "raw/Müller & Söhne #1.mp4"
    await cell.store.put_object(key, data, "video/mp4")
    begun = await _import(cell, key, metadata={"album": "Träume"})
    assert (begun["size"], begun["created"], begun["bucket"]) == (len(data), True, cell.store.container)
    again = await _import(cell, key, expect=200)
    assert (again["id"], again["created"]) == (begun["id"], False)

    view = await cell.until(begun["id"], "ready")
    assert {name: stage["state"] for name, stage in view["stages"].items() if stage["state"] != "done"} == {
        "transfer": "skipped",
        "seal": "skipped",
    }
    assert (view["transport"], view["bytes_received"], view["missing_segments"]) == ("import", len(data), [])
    content = await cell.content(begun["id"])
    assert (content["filename"], content["metadata"]) == ("Müller & Söhne #1.mp4", {"album": "Träume"})
    assert (content["object"]["container"], content["object"]["key"]) == (cell.store.container, key)
    assert content["kind"] == "video"
    assert await cell.read(content["object"]["key"]) == data
    assert (await cell.read(content["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
    await cell.until_clean(imported={key})
    assert (await _import(cell, key, expect=200))["status"] == "ready"

    # Another version under the same name is another content.
    await cell.store.put_object(key, data + b"\0", "video/mp4")
    replaced = await _import(cell, key)
    assert replaced["id"] != begun["id"]
    await cell.until(replaced["id"], "ready")
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


async def test_a_failed_import_leaves_the_object_alone(cell: Cell) -> None:
    key = "raw/notes.txt"
    data = b"no film at all " * 40_000
    await cell.store.put_object(key, data, "text/plain")
    first = await _import(cell, key)
    assert (await cell.until(first["id"], "failed"))["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean(imported={key})
    assert await cell.read(key) == data
    # What ended without a content may be tried again.
    second = await _import(cell, key)
    assert second["id"] != first["id"]
    await cell.until(second["id"], "failed")
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


async def test_what_may_not_be_imported_is_refused(cell: Cell) -> None:
    async def refused(body: dict[str, Any]) -> tuple[int, str]:
        status, answer, _ = await cell.call("POST", "/v1/contents/import", json=body)
        return status, answer["error"]["code"]

    await cell.store.put_object("raw/empty.mp4", b"", "video/mp4")
    assert await refused({"key": "raw/none.mp4"}) == (404, "IMPORT_OBJECT_MISSING")
    assert await refused({"key": "raw/empty.mp4"}) == (422, "IMPORT_EMPTY")
    assert await refused({"key": "x", "bucket": "somebody-elses"}) == (403, "IMPORT_NOT_ALLOWED")
    assert await refused({"key": "contents/0/original"}) == (409, "IMPORT_OWN_OBJECT")
    assert await refused({}) == (422, "VALIDATION_FAILED")
    await cell.store.delete("raw/empty.mp4")


async def test_an_import_takes_no_segments(cell: Cell) -> None:
    key = "raw/a.mp4"
    await cell.store.put_object(key, long_video(), "video/mp4")
    begun = await _import(cell, key)
    status, body, _ = await cell.call("PUT", f"/v1/uploads/{begun['id']}/segments/1", data=b"x")
    assert (status, body["error"]["code"]) == (409, "TRANSPORT_DIFFERS")
    await cell.until(begun["id"], "ready")
    await cell.store.delete(key)


async def test_imports_wait_for_room(servers: EmbeddedStack, tmp_path: Path) -> None:
    """Ten imports and an upload through room for two: the same queue, and never over the budget."""
    data = long_video()
    budget = 2 * (len(data) + 8192)
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget) as cell:
        keys = [f"raw/{number}.mp4" for number in range(10)]
        for number, key in enumerate(keys):
            await cell.store.put_object(key, data + bytes(number), "video/mp4")
        upload = await cell.create(len(data))
        begun = [await _import(cell, key) for key in keys]
        assert "waiting" in {view["status"] for view in begun}
        await cell.put_all(upload, data)
        await asyncio.gather(*(cell.until(view["id"], "ready") for view in [upload, *begun]))
        await cell.until_clean(imported=set(keys))
