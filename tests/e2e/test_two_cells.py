"""Two cells behind one name, by the real nginx: one is killed with its Redis while clients send, the other continues,
and the first returns and finishes what it has."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import import_path
from pipeline.core.access import Scope
from tests.harness.cell import SEGMENT_BYTES, eventually
from tests.harness.cells import Front, TwoCells, number_of, two_cells
from tests.harness.chromium import chromium
from tests.harness.keys import CLIENT, make_key
from tests.harness.media_samples import long_video
from tests.harness.shared_stack import Servers
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.e2e

_TUS = {"Tus-Resumable": "1.0.0"}
_SIZE_BYTES = SEGMENT_BYTES + 1000
_BEFORE, _AFTER = 24, 16
_UNAVAILABLE = {502, 503, 504}


@pytest.fixture(scope="module")
def two(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCells]:
    require_programs(["nginx"], ["nginx"])
    # No upload expires while its cell is gone, however slow the machine is.
    with two_cells(servers, tmp_path_factory.mktemp("cells"), first_segment_seconds=600) as started:
        yield started


@dataclass
class Sent:
    """An upload, of which a client has sent the first segment. It knows the name in front and the upload's id."""

    id: str
    cell: int
    data: bytes
    by_tus: bool


def _file(number: int) -> bytes:
    return long_video(_SIZE_BYTES, seed=number)


async def _begin(front: Front, number: int, *, by_tus: bool) -> Sent:
    """Repeats a creation that nginx has passed on to a cell that does not respond."""
    data, created = _file(number), None
    name = f"film-{number}.mkv"

    async def accepted() -> bool:
        nonlocal created
        if by_tus:
            metadata = (
                f"filename {b64encode(name.encode()).decode()},filetype {b64encode(b'video/x-matroska').decode()}"
            )
            headers = {**_TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
            response = await front.http.post(f"{front.url}/files/", headers=headers, allow_redirects=False)
        else:
            body = {"filename": name, "size": len(data), "content_type": "video/matroska"}
            response = await front.http.post(f"{front.url}/v1/uploads", json=body, allow_redirects=False)
        async with response:
            assert response.status in {201, *_UNAVAILABLE}, await response.text()
            if response.status == 201:
                created = response.headers["Location"]
        return created is not None

    await eventually(accepted, 30, lambda: f"upload {number} to be created")
    assert created is not None
    cell = number_of({"id": created.rpartition("/")[2]})
    assert created.startswith(f"{front.url}/cells/{cell}/"), "links lead to the cell"
    return Sent(created.rpartition("/")[2], cell, data, by_tus)


async def _send(front: Front, upload: Sent, segment: int) -> int:
    """Send a segment through the name in front, which has no prefix of the cell; the status."""
    begin = (segment - 1) * SEGMENT_BYTES
    part = BytesIO(upload.data[begin : begin + SEGMENT_BYTES])
    if upload.by_tus:
        headers = {**_TUS, "Upload-Offset": str(begin), "Content-Type": "application/offset+octet-stream"}
        response = await front.http.patch(
            f"{front.url}/files/{upload.id}", data=part, headers=headers, allow_redirects=False
        )
    else:
        url = f"{front.url}/v1/uploads/{upload.id}/segments/{segment}"
        response = await front.http.put(url, data=part, allow_redirects=False)
    async with response:
        return response.status


async def _finish(front: Front, upload: Sent) -> None:
    assert await _send(front, upload, 2) in {200, 201, 204}
    await front.until(upload.id, "ready")


async def _listed(front: Front, *, unreachable: Sequence[int]) -> list[dict[str, Any]]:
    """Every upload, in small pages; each page names the cells that do not respond."""
    found: list[dict[str, Any]] = []
    query = {"limit": "7"}
    while True:
        _, body, _ = await front.call("GET", "/v1/uploads", params=query, expect=200)
        page = body["data"]
        assert page["unreachable_cells"] == unreachable
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


async def test_forty_uploads_while_a_cell_is_killed_and_returns(two: TwoCells) -> None:
    _, client_key = await make_key(two.settings, "alice", *CLIENT)
    _, operator_key = await make_key(two.settings, "ops", Scope.OPERATE)
    async with two.front(client_key) as front, two.front(operator_key) as operator:
        begun = await asyncio.gather(*(_begin(front, n, by_tus=n % 2 == 1) for n in range(_BEFORE)))
        assert {upload.cell for upload in begun} == {0, 1}, "both cells get uploads"
        for upload in begun:
            await front.until(upload.id, "admitted", "receiving")
        statuses = await asyncio.gather(*(_send(front, upload, 1) for upload in begun))
        assert set(statuses) <= {200, 201, 204}

        _, second = two.cells
        second.kill()
        remaining = [upload for upload in begun if upload.cell == 0]
        interrupted = [upload for upload in begun if upload.cell == 1]
        assert await _send(front, interrupted[0], 2) in _UNAVAILABLE, "clients repeat this"
        later = await asyncio.gather(*(_begin(front, _BEFORE + n, by_tus=n % 2 == 1) for n in range(_AFTER)))
        assert {upload.cell for upload in later} == {0}, "new uploads go to the cell that works"
        for upload in later:
            await front.until(upload.id, "admitted", "receiving")
            assert await _send(front, upload, 1) in {200, 201, 204}
        await asyncio.gather(*(_finish(front, upload) for upload in (*remaining, *later)))
        shown = await _listed(front, unreachable=[1])
        assert sorted(item["id"] for item in shown) == sorted(upload.id for upload in (*remaining, *later))
        _, body, _ = await operator.call("GET", "/v1/status", expect=200)
        assert body["data"]["unreachable_cells"] == [1]
        assert [volume["cell"] for volume in body["data"]["volumes"]] == [0]

        second.start()
        await asyncio.gather(*(_finish(front, upload) for upload in interrupted))
        every = [*begun, *later]
        for upload in every:
            async with front.http.get(f"{front.url}/v1/contents/{upload.id}/download?via=gateway") as content:
                assert await content.read() == upload.data
        shown = await _listed(front, unreachable=[])
        assert len(shown) == _BEFORE + _AFTER
        assert {item["id"] for item in shown} == {upload.id for upload in every}
        assert [item["created_at"] for item in shown] == sorted((item["created_at"] for item in shown), reverse=True)
        _, body, _ = await operator.call("GET", "/v1/status", expect=200)
        assert [volume["name"] for volume in body["data"]["volumes"]] == ["volume-0", "volume-1"]
        assert {item["status"]: item["count"] for item in body["data"]["statuses"]}["ready"] == _BEFORE + _AFTER
        _, body, _ = await operator.call("GET", f"/v1/status/uploads?search={interrupted[0].id}", expect=200)
        assert [item["id"] for item in body["data"]["items"]] == [interrupted[0].id]
        async with two.connected(client_key) as cells:
            for cell in cells:
                await cell.until_clean(imported={upload.id for upload in every})


@pytest.mark.browser
async def test_dashboard_and_command_name_the_cell_that_does_not_respond(two: TwoCells, tmp_path: Path) -> None:
    _, client_key = await make_key(two.settings, "bob", *CLIENT)
    _, operator_key = await make_key(two.settings, "ops", Scope.OPERATE)
    async with two.front(client_key) as front, chromium(tmp_path / "profile") as browser:
        uploads = {0: await _begin(front, 100, by_tus=False)}
        while len(uploads) < 2:
            one = await _begin(front, 101, by_tus=False)
            uploads[one.cell] = one
        page = await browser.page(1280, 900)
        shown = "document.querySelectorAll('.volume').length"
        await page.open(f"{two.url}/cells/0/dashboard#key={operator_key}", f"{shown} === 2")
        titles = await page.run("[...document.querySelectorAll('.volume h3')].map((title) => title.textContent)")
        assert titles == ["Cell 0 · volume-0", "Cell 1 · volume-1"]
        row = f"document.querySelector('.upload [data-id=\"{uploads[1].id}\"]')"
        await page.until(row)
        await page.run(f"{row}.click()")  # cell 0 redirects this request to cell 1
        await page.until("document.getElementById('timeline').open")
        assert await page.run("document.getElementById('unreachable').childElementCount") == 0

        two.cells[1].kill()
        await page.until(f"{shown} === 1 && document.getElementById('unreachable').textContent.includes('Cell 1 does')")
        assert await page.run("document.getElementById('timeline').open"), "what was read of the upload stays"
        await page.until("document.getElementById('found').textContent.includes('cell 1, which does not respond')")
        file = tmp_path / "film.mkv"
        file.write_bytes(_file(102))
        sent, listed = await asyncio.gather(
            _sluice(front, client_key, tmp_path, "upload", str(file), "--json"),
            _sluice(front, client_key, tmp_path, "status"),
        )
        assert sent[0] == 0, sent
        ended = json.loads(sent[1].splitlines()[-1])
        assert (ended["event"], number_of({"id": ended["upload_id"]})) == ("ended", 0)
        assert listed[0] == 0
        assert listed[2] == "Cell 1 does not respond: uploads are missing here.\n"
        two.cells[1].start()
        await page.until(f"{shown} === 2 && document.getElementById('unreachable').childElementCount === 0")
        assert [error for error in page.errors if "status of 50" not in error] == [], "only of the dead cell's timeline"
        for upload in uploads.values():
            await front.call("DELETE", f"/v1/uploads/{upload.id}", expect=200)


async def _sluice(front: Front, key: str, state: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run the command with the name in front: its exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *arguments),
        env={
            **os.environ,
            "PYTHONPATH": import_path(),
            "XDG_STATE_HOME": str(state),
            "SLUICE_SERVER": front.url,
            "SLUICE_KEY": key,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode(), errors.decode()
