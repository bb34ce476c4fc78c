"""Concatenation with the real tus-js-client (`parallelUploads`) and Swift: nothing is copied, nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_tus_clients import FILM_BYTES, stored, tus_client, written
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def own_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with cell_processes(servers, tmp_path_factory.mktemp("tus")) as started:
        yield started


async def test_three_parts_at_once(cell: Cell, tmp_path: Path) -> None:
    file = written(tmp_path / "film", long_video(FILM_BYTES))
    async with tus_client(cell.url, file, parallelUploads=3) as client:
        done = await client.event("done")
    assert done["methods"].count("POST") == 4, "three parts and the final upload"
    await stored(cell, done, file.read_bytes())
    content_id = done["url"].rpartition("/")[2]
    content = await cell.content(content_id)
    manifest = json.loads(await cell.manifest(content["object"]["key"]))
    names = [segment["name"].rpartition("/")[0].rpartition("/")[2] for segment in manifest]
    parts = list(dict.fromkeys(names))
    assert (len(parts), content_id in parts) == (3, False), "the manifest names the segments of the parts"
    for part in parts:
        view = await cell.status(part)
        assert (view["status"], view["transport"], view["content_id"]) == ("joined", "partial", None)
    await cell.until_clean()
    await cell.call("DELETE", f"/v1/contents/{content_id}", expect=200)

    async def removed() -> bool:
        return not [key for key in await cell.stored_keys() if any(name in key for name in (content_id, *parts))]

    await eventually(removed, 30, lambda: "every segment of the parts to be removed")


async def test_a_gateway_that_is_killed(own_cell: CellProcesses, tmp_path: Path) -> None:
    """Another one on the same port continues each part at the byte that counts."""
    file = written(tmp_path / "film", long_video(FILM_BYTES))
    async with own_cell.connected() as cell:
        gateway = own_cell.processes.child("gateway")
        async with tus_client(cell.url, file, parallelUploads=3, chunkSize=100_000) as client:
            while (await client.event("progress"))["sent"] < 1_000_000:
                pass
            gateway.stop(signal.SIGKILL)
            gateway.start()
            done = await client.event("done")
        await stored(cell, done, file.read_bytes())
        await cell.until_clean()


async def test_a_final_upload_of_one_segment_and_one_that_is_no_media(cell: Cell, tmp_path: Path) -> None:
    film = long_video(FILM_BYTES)
    headers = {"Tus-Resumable": "1.0.0"}

    async def part(data: bytes) -> str:
        body = {"Content-Type": "application/offset+octet-stream", "Upload-Concat": "partial"}
        sent = {**headers, **body, "Upload-Length": str(len(data))}
        async with cell.http.post(f"{cell.url}/files/", headers=sent, data=data) as response:
            assert response.status == 201
            return response.headers["Location"]

    async def final(*parts: str) -> str:
        sent = {**headers, "Upload-Concat": f"final;{' '.join(parts)}"}
        async with cell.http.post(f"{cell.url}/files/", headers=sent) as response:
            assert response.status == 201, await response.text()
            return response.headers["Location"].rpartition("/")[2]

    small = film[: 200 * 1024]
    one = await part(small)
    whole, text = await final(one), await final(*await asyncio.gather(part(b"no"), part(b" media")))
    view = await cell.until(whole, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(whole)
    assert (content["object"]["segment_count"], await cell.read(content["object"]["key"])) == (1, small)
    view = await cell.until(text, "failed")
    assert view["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean()
