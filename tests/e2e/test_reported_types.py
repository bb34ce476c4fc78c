"""Content types as browsers report them, on the way into each store and out of it again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.direct_client import complete, send
from tests.harness.cell import Cell
from tests.harness.media_samples import sample

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("store_cell", ["swift", "s3"], indirect=True, scope="module"),
]

TYPES = [
    ("video/mp4;codecs=avc1,mp4a", 'video/mp4;codecs="avc1,mp4a"'),
    ('Video/MP4 ; Codecs="avc1.42E01E, mp4a.40.2" ; swift_bytes=1', 'video/mp4;codecs="avc1.42E01E, mp4a.40.2"'),
]


@pytest.fixture(scope="module")
def store_settings() -> dict[str, Any]:
    return {"swift_tempurl_key": "a-key-of-the-test"}


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


@pytest.mark.parametrize(("sent", "normal"), TYPES)
@pytest.mark.parametrize("transport", ["gateway", "direct"])
async def test_a_type_reaches_the_store_and_comes_back(cell: Cell, transport: str, sent: str, normal: str) -> None:
    data = sample("mp4").read_bytes()
    upload = await cell.create(len(data), content_type=sent, transport=transport)
    assert upload["content_type"] == normal
    if transport == "direct":
        await send(cell, upload["grants"]["segments"], upload, data)
        assert (await complete(cell, upload["id"]))[0] == 200
    else:
        await cell.put_all(upload, data)
    await cell.until(upload["id"], "ready")
    content = await cell.content(upload["id"])
    assert content["content_type"] == normal
    assert (await cell.store.head(content["object"]["key"])).content_type == normal
    for query in ("", "?via=gateway"):
        async with cell.http.get(f"{cell.url}/v1/contents/{upload['id']}/download{query}") as response:
            assert (response.status, response.headers["Content-Type"]) == (200, normal)
            assert await response.read() == data


@pytest.mark.parametrize("sent", ["video", "video/mp4\r\nX-Injected: 1", "vidéo/mp4", "video/mp4;codecs", 5])
async def test_what_is_no_type_is_refused(cell: Cell, sent: object) -> None:
    body = {"filename": "a.mp4", "size": 10, "content_type": sent}
    _, answer, _ = await cell.call("POST", "/v1/uploads", json=body, expect=422)
    assert [field["field"] for field in answer["error"]["detail"]["fields"]] == ["content_type"]
