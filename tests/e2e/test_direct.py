"""Direct uploads by a plain HTTP client that knows nothing of the store but the grants."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any

import pytest

from tests.e2e.direct_client import TWO_SEGMENTS_AND_A_BIT, blocks, complete, send, video
from tests.harness.cell import Cell
from tests.harness.media_samples import sample
from tests.harness.room import room_of
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.store_digests import store_digests

pytestmark = pytest.mark.e2e

MEBIBYTE = 1024 * 1024
KEY: dict[str, Any] = {"swift_tempurl_key": "a-key-of-the-test"}


@pytest.fixture(scope="module", params=["swift", "s3"])
def store_cell(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = {**KEY, "store": request.param, "upload_grant_seconds": 8}
    with cell_processes(servers, tmp_path_factory.mktemp("direct"), **settings) as started:
        yield started


@pytest.fixture
async def cell(store_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with store_cell.connected() as connected:
        yield connected


async def test_a_client_sends_a_file_to_the_store_itself(cell: Cell) -> None:
    data = video(cell)
    upload = await cell.create(len(data), transport="direct", filename="Träume.mp4", metadata={"a": "b"})
    assert (upload["status"], upload["segment_count"]) == ("granted", 3)
    assert upload["missing_segments"] == [[1, 3]]
    grants = upload["grants"]
    assert [grant["number"] for grant in grants["segments"]] == [1, 2, 3]
    assert grants["more"] == []
    assert not list(cell.settings.temp_dir.glob("*.data")), (
        "bytes are allocated on the temp volume while the client uploads to the store"
    )

    # Completed too early: the gateway asks the store and reports what is missing.
    status, error = await complete(cell, upload["id"])
    assert (status, error["code"], error["detail"]["missing"]) == (409, "SEGMENTS_MISSING", [[1, 3]])
    await send(cell, grants["segments"][:2], upload, data)
    status, error = await complete(cell, upload["id"])
    assert (status, error["detail"]["missing"], error["detail"]["wrong"]) == (409, [[3, 3]], [])
    # A last segment that is too short is reported too.
    await send(cell, [{**grants["segments"][2], "size": 100}], upload, data)
    status, error = await complete(cell, upload["id"])
    assert error["detail"]["missing"] == [[3, 3]]
    assert [(item["number"], item["size"]) for item in error["detail"]["wrong"]] == [(3, 100)]

    _, body, _ = await cell.call("POST", f"/v1/uploads/{upload['id']}/grants", json={"segments": [[3, 3]]}, expect=200)
    await send(cell, body["data"]["segments"], upload, data)
    async with room_of(cell) as room:
        status, view = await complete(cell, upload["id"])
        assert (status, view["status"] in ("processing", "ready")) == (200, True)
        view = await cell.until(upload["id"], "ready")
    assert (room.most_reserved_bytes, room.files) == (0, set())
    assert {name: stage["state"] for name, stage in view["stages"].items() if stage["state"] != "done"} == {
        "transfer": "skipped",
        "assemble": "skipped",
    }
    assert view["bytes_received"] == view["bytes_stored"] == len(data)
    assert (await complete(cell, upload["id"]))[0] == 200, "completing twice is harmless"
    content = await cell.content(upload["id"])
    assert (content["filename"], content["metadata"], content["object"]["segment_count"]) == (
        "Träume.mp4",
        {"a": "b"},
        3,
    )
    assert await cell.read(content["object"]["key"]) == data
    assert (await cell.read(content["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
    await cell.until_clean()


async def test_the_store_verifies_the_digest_that_a_client_sends(cell: Cell) -> None:
    data = video(cell)
    upload = await cell.create(len(data), transport="direct")
    (first, *rest) = upload["grants"]["segments"]
    body = data[: first["size"]]
    changed = bytes([body[0] ^ 1]) + body[1:]
    headers = {**first["headers"], **store_digests(body)}
    async with cell.http.request(first["method"], first["url"], data=BytesIO(changed), headers=headers) as refused:
        assert refused.status in (400, 422), await refused.text()
    await send(cell, rest, upload, data)
    status, error = await complete(cell, upload["id"])
    assert (status, error["code"], error["detail"]["missing"]) == (409, "SEGMENTS_MISSING", [[1, 1]])
    async with cell.http.request(first["method"], first["url"], data=BytesIO(body), headers=headers) as accepted:
        assert accepted.status in (200, 201), await accepted.text()
    assert (await complete(cell, upload["id"]))[0] == 200
    view = await cell.until(upload["id"], "ready")
    content = await cell.content(view["content_id"])
    assert await cell.read(content["object"]["key"]) == data


async def test_one_segment(cell: Cell) -> None:
    data = sample("jpeg").read_bytes()
    upload = await cell.create(len(data), transport="direct", content_type="image/jpeg")
    assert (await complete(cell, upload["id"]))[0] == 409
    await send(cell, upload["grants"]["segments"], upload, data)
    assert (await complete(cell, upload["id"]))[0] == 200
    await cell.until(upload["id"], "ready")
    content = await cell.content(upload["id"])
    assert await cell.read(content["object"]["key"]) == data
    async with cell.http.get(upload["grants"]["segments"][0]["url"]) as answer:
        assert answer.status in (401, 403), "a grant is for PUT alone"


async def test_what_is_no_media_fails_and_leaves_nothing(cell: Cell) -> None:
    data = os.urandom(TWO_SEGMENTS_AND_A_BIT[cell.settings.store])
    upload = await cell.create(len(data), transport="direct")
    await send(cell, upload["grants"]["segments"], upload, data)
    assert (await complete(cell, upload["id"]))[0] == 200
    assert (await cell.until(upload["id"], "failed"))["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_a_digest_of_the_whole_file_is_compared(cell: Cell, right: bool) -> None:
    data = video(cell)
    value = b64encode(hashlib.sha256(data if right else b"another file").digest()).decode()
    upload = await cell.create(len(data), transport="direct", digest=f"sha-256=:{value}:")
    await send(cell, upload["grants"]["segments"], upload, data)
    async with room_of(cell) as room:
        assert (await complete(cell, upload["id"]))[0] == 200
        view = await cell.until(upload["id"], "ready" if right else "failed")
    assert (room.most_reserved_bytes, room.files) == (0, set())
    assert (view["error"] or {}).get("code") == (None if right else "FILE_DIGEST_WRONG")
    await cell.until_clean()


async def test_requests_that_do_not_fit_the_transport_or_the_state_are_refused(cell: Cell) -> None:
    upload = await cell.create(TWO_SEGMENTS_AND_A_BIT[cell.settings.store], transport="direct")
    path = f"/v1/uploads/{upload['id']}"

    async def refused(method: str, path: str, **options: Any) -> tuple[int, str]:
        status, body, _ = await cell.call(method, path, **options)
        return status, body["error"]["code"]

    assert await refused("PUT", f"{path}/segments/1", data=b"x") == (409, "TRANSPORT_DIFFERS")
    assert await refused("POST", f"{path}/grants", json={"segments": [[1, 4]]}) == (404, "SEGMENT_OUT_OF_RANGE")
    assert await refused("POST", f"{path}/grants", json={"segments": []}) == (422, "VALIDATION_FAILED")
    plain = await cell.create(10)
    assert await refused("POST", f"/v1/uploads/{plain['id']}/complete") == (409, "TRANSPORT_DIFFERS")
    for item in (upload, plain):
        await cell.call("DELETE", f"/v1/uploads/{item['id']}", expect=200)
    assert await refused("POST", f"{path}/complete") == (409, "UPLOAD_ENDED")
    assert await refused("POST", f"{path}/grants", json={"segments": [[1, 1]]}) == (409, "UPLOAD_ENDED")
    # What a client sends with a grant after the upload has ended is removed when the last grant has expired.
    first = upload["grants"]["segments"][0]
    async with cell.http.put(first["url"], data=blocks(bytes(first["size"])), headers=first["headers"]):
        pass
    await cell.until_clean()
