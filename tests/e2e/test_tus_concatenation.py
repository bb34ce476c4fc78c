"""Concatenation with the real tus-js-client (`parallelUploads`) and Swift: nothing is copied, nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.test_tus_clients import stored, tus_client, written
from tests.e2e.tus_interruptions import FILM_BYTES
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


HEADERS = {"Tus-Resumable": "1.0.0"}


async def new_part(cell: Cell, data: bytes) -> str:
    """The URL of a partial upload of these bytes."""
    body = {"Content-Type": "application/offset+octet-stream", "Upload-Concat": "partial"}
    sent = {**HEADERS, **body, "Upload-Length": str(len(data))}
    async with cell.http.post(f"{cell.url}/files/", headers=sent, data=BytesIO(data)) as response:
        assert response.status == 201
        return response.headers["Location"]


async def final(cell: Cell, *parts: str) -> str:
    """The id of the final upload of these URLs."""
    sent = {**HEADERS, "Upload-Concat": f"final;{' '.join(parts)}"}
    async with cell.http.post(f"{cell.url}/files/", headers=sent) as response:
        assert response.status == 201, await response.text()
        return response.headers["Location"].rpartition("/")[2]


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
    _, shown, _ = await cell.call("GET", f"/v1/contents/{content_id}/segments", expect=200)
    assert [item["number"] for item in shown["data"]["segments"]] == list(range(1, len(manifest) + 1))
    for item in shown["data"]["segments"]:
        async with cell.http.get(item["url"], headers=item["headers"]) as response:
            assert await response.read() == file.read_bytes()[item["offset"] : item["offset"] + item["size"]]
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
            await cell.until_answered()
        await stored(cell, done, file.read_bytes())
        await cell.until_clean()


async def test_parts_without_a_final_upload(
    servers: Servers, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Their bytes leave the temp volume while they are held, and everything else when they expire or are deleted."""
    with cell_processes(servers, tmp_path_factory.mktemp("held"), upload_deadline_seconds=20) as started:
        async with started.connected() as cell:
            data = long_video(FILM_BYTES)[: 5 * SEGMENT_BYTES + 1]
            urls = [await new_part(cell, data) for _ in range(2)]
            held = [await cell.until(url.rpartition("/")[2], "held") for url in urls]
            for view in held:
                key = cell.keys.upload(view["id"])

                async def released(key: str = key) -> bool:
                    return await hash_get(cell.redis, key, "bytes_released") == str(len(data))

                await eventually(released, 30, lambda: "the bytes to leave the temp volume")
            assert len(await cell.stored_keys()) == 12
            async with cell.http.delete(urls[0], headers=HEADERS) as response:
                assert response.status == 204
            view = await cell.until(held[1]["id"], "expired")
            assert view["error"]["code"] == "UPLOAD_EXPIRED"
            await cell.until_clean()


async def test_a_final_upload_of_one_segment_and_one_that_is_no_media(cell: Cell, tmp_path: Path) -> None:
    film = long_video(FILM_BYTES)
    small = film[: 200 * 1024]
    one = await new_part(cell, small)
    whole, text = (
        await final(cell, one),
        await final(cell, *await asyncio.gather(new_part(cell, b"no"), new_part(cell, b" media"))),
    )
    view = await cell.until(whole, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(whole)
    assert (content["object"]["segment_count"], await cell.read(content["object"]["key"])) == (1, small)
    view = await cell.until(text, "failed")
    assert view["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean()


async def test_parts_whose_length_becomes_known_later(cell: Cell) -> None:
    film = long_video(FILM_BYTES)
    cut = 2 * SEGMENT_BYTES + 5

    async def part(data: bytes, *pieces: int) -> str:
        deferred = {**HEADERS, "Upload-Concat": "partial", "Upload-Defer-Length": "1"}
        async with cell.http.post(f"{cell.url}/files/", headers=deferred) as response:
            assert response.status == 201, await response.text()
            url = response.headers["Location"]
        for first, end in pairwise([0, *pieces, len(data)]):
            length = {"Upload-Length": str(len(data))} if end == len(data) else {}
            sent = {**HEADERS, **length, "Upload-Offset": str(first), "Content-Type": "application/offset+octet-stream"}
            async with cell.http.patch(url, headers=sent, data=BytesIO(data[first:end])) as response:
                assert response.status == 204, await response.text()
        return url

    urls = await asyncio.gather(part(film[:cut], 1, SEGMENT_BYTES + 1), part(film[cut:]))
    async with cell.http.post(
        f"{cell.url}/files/", headers={**HEADERS, "Upload-Concat": f"final;{' '.join(urls)}"}
    ) as response:
        assert response.status == 201, await response.text()
        content_id = response.headers["Location"].rpartition("/")[2]
    view = await cell.until(content_id, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(content_id)
    assert await cell.read(content["object"]["key"]) == film
    await cell.until_clean()
