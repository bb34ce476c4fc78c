"""The thumbnail of an upload while it is being sent: conditions, ranges, who may see it, and when there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.e2e.early_files import send_wanted
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.keys import WITH_KEYS, as_caller, bearer
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = dict(WITH_KEYS)
    with cell_processes(servers, tmp_path_factory.mktemp("thumbnail"), **settings) as started:
        yield started


@pytest.fixture
async def alice(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected, as_caller(connected, "alice") as cell:
        yield cell


async def film_with_thumbnail(cell: Cell, **headers: str) -> dict[str, Any]:
    """An upload that receives: segments are missing, and its thumbnail is there."""
    head = sample("mp4").read_bytes()
    rest = 8 * SEGMENT_BYTES - len(head)
    data = head + rest.to_bytes(4, "big") + b"free" + bytes(rest - 8)
    file = {"filename": "film.mp4", "size": len(data), "content_type": "video/mp4"}
    _, body, _ = await cell.call("POST", "/v1/uploads", json=file, headers=headers, expect=201)
    upload: dict[str, Any] = body["data"]
    await cell.until(upload["id"], "admitted")
    sent = await send_wanted(cell, upload, data, lambda view: view["stages"]["thumbnail"]["state"] == "done")
    assert len(sent) < upload["segment_count"]
    return upload


async def ask(cell: Cell, upload: dict[str, Any], method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    async with cell.http.request(method, f"{cell.url}/v1/uploads/{upload['id']}/thumbnail", headers=headers) as got:
        return got.status, got.headers, await got.read()


async def test_conditions_and_ranges(alice: Cell) -> None:
    upload = await film_with_thumbnail(alice)
    status, head, picture = await ask(alice, upload)
    assert (status, head["Content-Type"], picture[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    etag, size = head["ETag"], len(picture)
    assert head["Content-Length"] == str(size)
    status, same, body = await ask(alice, upload, "HEAD")
    assert (status, same["ETag"], same["Content-Length"], body) == (200, etag, str(size), b"")
    for method in ("GET", "HEAD"):
        status, same, body = await ask(alice, upload, method, **{"If-None-Match": etag})
        assert (status, same["ETag"], body) == (304, etag, b"")
    assert (await ask(alice, upload, **{"If-None-Match": '"another"'}))[0] == 200
    assert (await ask(alice, upload, **{"If-Match": '"another"'}))[0] == 412
    status, part, body = await ask(alice, upload, Range="bytes=0-2")
    assert (status, part["Content-Range"], body) == (206, f"bytes 0-2/{size}", picture[:3])
    assert (await ask(alice, upload, Range="bytes=-5"))[2] == picture[-5:]
    status, part, _ = await ask(alice, upload, Range=f"bytes={size}-")
    assert (status, part["Content-Range"]) == (416, f"bytes */{size}")
    assert (await ask(alice, upload, Range="bytes=0-2", **{"If-Range": '"another"'}))[2] == picture


async def test_who_may_see_it(guarded: CellProcesses, alice: Cell) -> None:
    _, permit, _ = await alice.call("POST", "/v1/permits", json={}, expect=201)
    _, another, _ = await alice.call("POST", "/v1/permits", json={}, expect=201)
    upload = await film_with_thumbnail(alice, **bearer(permit["data"]["token"]))
    async with guarded.connected() as nobody, as_caller(nobody, "mallory") as mallory:
        assert (await ask(alice, upload))[0] == 200
        assert (await ask(nobody, upload, **bearer(upload["upload_token"]["token"])))[0] == 200
        assert (await ask(mallory, upload))[0] == 404
        assert (await ask(nobody, upload))[0] == 401
        for token in (permit["data"]["token"], another["data"]["token"]):
            assert (await ask(nobody, upload, **bearer(token)))[0] == 403


async def code_of(cell: Cell, upload: dict[str, Any]) -> str:
    _, body, _ = await cell.call("GET", f"/v1/uploads/{upload['id']}/thumbnail", expect=404)
    code: str = body["error"]["code"]
    return code


async def test_when_there_is_none(alice: Cell) -> None:
    upload = await alice.create(1000)
    assert await code_of(alice, upload) == "THUMBNAIL_NOT_MADE", "nothing was sent"
    upload = await film_with_thumbnail(alice)
    await alice.call("DELETE", f"/v1/uploads/{upload['id']}")
    assert await code_of(alice, upload) == "THUMBNAIL_NOT_MADE", "it is removed with the upload"
    wrong = b"nothing" * 1000
    failed = await alice.create(len(wrong))
    await alice.put_all(failed, wrong)
    await alice.until(failed["id"], "failed")
    assert await code_of(alice, failed) == "THUMBNAIL_NOT_MADE", "it is no media"
    sound = await alice.upload(sample("mp3").read_bytes(), filename="a.mp3", content_type="audio/mpeg")
    assert await code_of(alice, sound) == "THUMBNAIL_NOT_MADE", "sound has no picture"


async def test_a_content_has_the_thumbnail_of_its_upload(alice: Cell) -> None:
    upload = await alice.upload(sample("mp4").read_bytes())
    status, _, picture = await ask(alice, upload)
    assert status == 200
    path = f"{alice.url}/v1/contents/{upload['id']}/thumbnail?via=gateway"
    async with alice.http.get(path) as response:
        assert (response.status, await response.read()) == (200, picture)
