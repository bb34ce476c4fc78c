"""The links of uploads and contents, followed: what is linked is accepted, and what is not linked would be refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from tests.e2e.direct_client import complete, send, video
from tests.harness.cell import Cell
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

METHODS = {
    "self": "GET",
    "events": "GET",
    "content": "GET",
    "tickets": "POST",
    "segment": "PUT",
    "grants": "POST",
    "complete": "POST",
    "thumbnail": "GET",
}
PATHS = {"segment": "/segments/{number}", "grants": "/grants", "complete": "/complete"}
NEVER_APPLIES = {"TRANSPORT_DIFFERS", "UPLOAD_ENDED", "UPLOAD_COMPLETE"}


@pytest.fixture(scope="module")
def started(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = {
        "swift_tempurl_key": "a-key-of-the-test",
        "swift_lent_user": servers.swift.user,
        "swift_lent_password": servers.swift.key,
    }
    with cell_processes(servers, tmp_path_factory.mktemp("links"), **settings) as running:
        yield running


@pytest.fixture
async def cell(started: CellProcesses) -> AsyncIterator[Cell]:
    async with started.connected() as connected:
        yield connected


async def answer(cell: Cell, name: str, url: str) -> tuple[int, str]:
    """Status and error code of the request that a link is for, with a body that changes nothing."""
    body: dict[str, Any] = {"json": {"segments": [[1, 1]]}} if name == "grants" else {}
    body = {"data": b""} if name == "segment" else body
    async with cell.http.request(METHODS[name], url.replace("{number}", "1"), **body) as response:
        code = (await response.json())["error"]["code"] if response.status >= 400 else ""
        return response.status, code


async def check(cell: Cell, view: Mapping[str, Any], *expected: str) -> None:
    """The links are exactly these, and that of the thumbnail once there is one; the gateway agrees."""
    links = {name: url for name, url in view["links"].items() if url is not None}
    assert set(links) - {"thumbnail"} == {"self", "events", "tickets", *expected}
    assert "thumbnail" in links or view["status"] != "ready"
    for name, url in links.items():
        if name == "events" and view["status"] not in ("ready", "failed", "cancelled"):
            async with cell.http.head(url) as response:  # a GET would last until the upload ends
                assert response.status == 200
            continue
        status, code = await answer(cell, name, url)
        if code == "THUMBNAIL_NOT_MADE":
            continue
        assert status not in (404, 405), (name, code)
        assert code not in NEVER_APPLIES, (name, code)
    for name in set(PATHS) - set(links):
        status, code = await answer(cell, name, view["links"]["self"] + PATHS[name])
        assert code in NEVER_APPLIES or view["status"] not in ("granted", "admitted"), (name, status, code)


async def test_an_upload_through_the_gateway(cell: Cell) -> None:
    data = sample("mp4").read_bytes()
    upload = await cell.create(len(data))
    await check(cell, upload, "segment")
    await cell.put_all(upload, data)
    await check(cell, await cell.until(upload["id"], "ready"), "content")


@pytest.mark.parametrize("transport", ["direct", "token"])
async def test_an_upload_to_the_store_itself(cell: Cell, transport: str) -> None:
    data = video(cell)
    upload = await cell.create(len(data), transport=transport)
    await check(cell, upload, "grants", "complete")
    await send(cell, upload["grants"]["segments"], upload, data)
    status, view = await complete(cell, upload["id"])
    assert status == 200
    if view["status"] != "ready":
        await check(cell, view, "complete")
    await check(cell, await cell.until(upload["id"], "ready"), "content")


@pytest.mark.parametrize("transport", ["gateway", "direct", "token"])
async def test_a_cancelled_upload(cell: Cell, transport: str) -> None:
    upload = await cell.create(3 * 256 * 1024, transport=transport)
    _, body, _ = await cell.call("DELETE", upload["links"]["self"], expect=200)
    await check(cell, body["data"])
    # The stream of its events shows the same links.
    async with cell.http.get(body["data"]["links"]["events"]) as response:
        assert '"complete":null' in await response.text()


async def test_an_import(cell: Cell) -> None:
    data = sample("mp4").read_bytes()
    await cell.store.put_object("raw/links.mp4", data, "video/mp4")
    _, body, headers = await cell.call("POST", "/v1/contents/import", json={"key": "raw/links.mp4"}, expect=201)
    links = body["data"]["links"]
    assert headers["Location"] == links["self"]
    assert links["content"] is None
    view = await cell.until(body["data"]["id"], "ready")
    await check(cell, view, "content")
    # Known by now: only the content is certain to exist.
    _, body, headers = await cell.call("POST", "/v1/contents/import", json={"key": "raw/links.mp4"}, expect=200)
    assert body["data"]["links"] == {"self": None, "events": None, "content": view["links"]["content"]}
    assert headers["Location"] == view["links"]["content"]
    await cell.store.delete("raw/links.mp4")


@pytest.mark.parametrize("name", ["mp4", "mp3"])
async def test_every_link_of_a_content_works(cell: Cell, name: str) -> None:
    data = sample(name).read_bytes()
    upload = await cell.upload(data, filename=f"a.{name}", content_type="application/octet-stream")
    content = await cell.content(upload["id"])
    links = content["links"]
    assert upload["links"]["content"] == links["self"]
    assert (links["thumbnail"] is None) == (content["thumbnail"] is None) == (name == "mp3")
    await cell.call("POST", links["links"], json={}, expect=201)
    for link in filter(None, (url for name, url in links.items() if name != "links")):
        async with cell.http.get(link.replace("{number}", "1")) as response:
            assert response.status == 200, link
            body = await response.read()
        if link in (links["download"], links["segment"]):
            assert body == data
    async with cell.http.get(links["segment"].replace("{number}", "1")) as response:
        assert await response.read() == data
