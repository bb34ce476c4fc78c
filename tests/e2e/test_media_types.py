"""The type of a content: refused at creation if it cannot be media, and corrected once the file has been recognised."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from yarl import URL

from tests.e2e.direct_client import complete, send, video
from tests.harness.cell import Cell
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

GENERIC = "application/octet-stream"
NO_MEDIA = "application/x-msdownload"
TOKEN = "a-shared-secret"


@pytest.fixture(scope="module", params=["swift", "s3", "filesystem"])
def started(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = {
        "store": request.param,
        "events_token": TOKEN,
        "swift_tempurl_key": "a-key-of-the-test",
        "swift_lent_user": servers.swift.user,
        "swift_lent_password": servers.swift.key,
    }
    with cell_processes(servers, tmp_path_factory.mktemp("types"), **settings) as running:
        yield running


@pytest.fixture
async def cell(started: CellProcesses) -> AsyncIterator[Cell]:
    async with started.connected() as connected:
        yield connected


one_store = pytest.mark.parametrize("started", ["swift"], indirect=True)
"""For tests of what does not depend on the store."""


async def types(cell: Cell, content_id: str) -> set[str]:
    """Every type that a client sees of the content: in its row, and in downloads by either way."""
    content = await cell.content(content_id)
    seen = {content["content_type"]}
    for query in ("", "?via=gateway", "?disposition=inline"):
        async with cell.http.get(URL(content["links"]["download"] + query, encoded=True)) as response:
            assert response.status == 200
            seen.add(response.headers["Content-Type"])
    return seen


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("mp4", GENERIC, "video/mp4"),
        ("jpeg", "binary/octet-stream", "image/jpeg"),
        ("mp3", GENERIC, "audio/mpeg"),
        ("webm", "video/mp4", "video/webm"),
        ("png", "image/jpeg", "image/png"),
        ("webm", "video/webm", "video/webm"),
    ],
)
async def test_a_content_has_the_type_that_was_recognised(cell: Cell, name: str, declared: str, expected: str) -> None:
    upload = await cell.upload(sample(name).read_bytes(), filename="file", content_type=declared)
    assert upload["content_type"] == declared, "the upload shows what the client declared"
    assert await types(cell, upload["id"]) == {expected}


async def test_a_manifest_has_it_too(cell: Cell) -> None:
    """On S3 the segments are 5 MiB, elsewhere 256 KiB."""
    size = 11 * 1024 * 1024 if cell.settings.store == "s3" else 700_000
    data = sample("mp4").read_bytes()
    data += (size - len(data)).to_bytes(4, "big") + b"free" + bytes(size - len(data) - 8)
    upload = await cell.upload(data, filename="file", content_type=GENERIC)
    content = await cell.content(upload["id"])
    assert content["object"]["segment_count"] == 3
    assert await types(cell, upload["id"]) == {"video/mp4"}
    assert await cell.read(content["object"]["key"]) == data
    await cell.until_clean()


@pytest.mark.parametrize("transport", ["direct", "token"])
async def test_a_file_sent_to_the_store_itself(cell: Cell, transport: str) -> None:
    if cell.settings.store == "filesystem" or (cell.settings.store, transport) == ("s3", "token"):
        body = {"filename": "a", "size": 10, "content_type": GENERIC, "transport": transport}
        status, answer, _ = await cell.call("POST", "/v1/uploads", json=body)
        assert (status, answer["error"]["code"]) == (422, "TRANSPORT_NOT_OFFERED")
        return
    data = video(cell)
    upload = await cell.create(len(data), transport=transport, content_type=GENERIC)
    await send(cell, upload["grants"]["segments"], upload, data)
    assert (await complete(cell, upload["id"]))[0] == 200
    await cell.until(upload["id"], "ready")
    assert await types(cell, upload["id"]) == {"video/mp4"}


async def test_an_imported_object_keeps_its_own_type_in_the_store(cell: Cell) -> None:
    """Sluice never changes it: the content has the right type, and what the gateway sends."""
    key, data = "raw/unnamed", sample("webm").read_bytes()
    await cell.store.put_object(key, data, GENERIC)
    before = await cell.store.head(key)
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": key}, expect=201)
    await cell.until(body["data"]["id"], "ready")
    content = await cell.content(body["data"]["id"])
    assert content["content_type"] == "video/webm"
    async with cell.http.get(content["links"]["download"] + "?via=gateway") as response:
        assert response.headers["Content-Type"] == "video/webm"
    assert (await cell.store.head(key)).content_type == before.content_type
    await cell.store.delete(key)


@one_store
@pytest.mark.parametrize("transport", ["gateway", "direct", "token"])
@pytest.mark.parametrize("declared", [NO_MEDIA, "text/html", "image/svg+xml"])
async def test_a_type_that_cannot_be_media_is_refused_at_creation(cell: Cell, transport: str, declared: str) -> None:
    before = await cell.redis.zcard(cell.keys.uploads)
    body = {"filename": "setup.exe", "size": 10, "content_type": declared, "transport": transport}
    status, answer, _ = await cell.call("POST", "/v1/uploads", json=body)
    assert (status, answer["error"]["code"]) == (422, "CONTENT_TYPE_NOT_MEDIA")
    assert answer["error"]["detail"] == {"content_type": declared}
    assert await cell.redis.zcard(cell.keys.uploads) == before


async def test_an_object_whose_type_cannot_be_media_is_not_imported(cell: Cell) -> None:
    key, before = "raw/setup.exe", await cell.redis.zcard(cell.keys.uploads)
    await cell.store.put_object(key, b"MZ", NO_MEDIA)
    status, answer, _ = await cell.call("POST", "/v1/contents/import", json={"key": key})
    assert (status, answer["error"]["code"]) == (422, "CONTENT_TYPE_NOT_MEDIA")
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": cell.store.container}, "object": {"key": key}},
    }
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    _, answer, _ = await cell.call(
        "POST", "/v1/events/storage", data=json.dumps({"Records": [record]}), headers=headers, expect=200
    )
    assert [item["reason"] for item in answer["data"]["ignored"]] == ["CONTENT_TYPE_NOT_MEDIA"]
    assert await cell.redis.zcard(cell.keys.uploads) == before
    await cell.store.delete(key)
