"""Permits in a whole cell: a file that breaks the limits of its permit is ended while it is being sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipeline.core.access import Scope
from tests.e2e.early_files import film, numbers_of
from tests.harness.cell import Cell
from tests.harness.keys import make_key
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

FILM = "mp4, index in front"


@pytest.fixture
async def cell(servers: Servers, tmp_path: Path) -> AsyncIterator[Cell]:
    """Its client sends the key of an owner unless a request names another credential."""
    async with running_cell(servers, tmp_path, store="swift", auth="required", signing_secret="s" * 32) as running:
        _, text = await make_key(running.settings, "alice", *Scope)
        running.http.headers["Authorization"] = f"Bearer {text}"
        yield running


async def created_with(cell: Cell, size: int, **limits: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A new upload of a client that has nothing but a permit, and the header with the upload's own token."""
    _, permit, _ = await cell.call("POST", "/v1/permits", json=limits, expect=201)
    file = {"filename": "film.mp4", "size": size, "content_type": "video/mp4"}
    credential = {"Authorization": f"Bearer {permit['data']['token']}"}
    async with aiohttp.ClientSession() as stranger:
        response = await stranger.post(f"{cell.url}/v1/uploads", json=file, headers=credential)
        assert response.status == 201, await response.text()
        upload = (await response.json())["data"]
    cell.uploads.append(upload["id"])
    return upload, {"Authorization": f"Bearer {upload['upload_token']['token']}"}


@pytest.mark.parametrize(
    "limits",
    [
        {"max_duration_seconds": 5},
        {"max_width": 16},
        {"max_height": 16},
        {"video_codecs": ["av1"]},
        {"audio_codecs": ["opus"]},
        {"kinds": ["image"]},
        {"content_types": ["video/webm", "video/mp4"], "max_duration_seconds": 11},
    ],
    ids=lambda limits: "+".join(limits),
)
async def test_a_file_that_breaks_its_permit_is_ended_while_it_is_sent(cell: Cell, limits: dict[str, Any]) -> None:
    data = film(FILM)
    upload, headers = await created_with(cell, len(data), **limits)
    sent: set[int] = set()
    wanted = [1]
    view: dict[str, Any] = upload
    async with asyncio.timeout(60):
        while view["status"] != "failed":
            for number in wanted:
                await cell.put(upload, number, data, headers=headers)
                sent.add(number)
            _, body, _ = await cell.call("GET", f"/v1/uploads/{upload['id']}", headers=headers, expect=200)
            view = body["data"]
            wanted = sorted(set(numbers_of(view["wanted_segments"])) - sent)
    assert view["error"]["code"] == "MEDIA_NOT_PERMITTED"
    assert len(sent) < upload["segment_count"] // 2, "most of the file was never sent"
    await cell.until_clean()


async def test_a_file_within_its_permit_is_ready(cell: Cell) -> None:
    data = film(FILM)
    limits = {"kinds": ["video"], "max_duration_seconds": 60, "content_types": ["video/*"], "video_codecs": ["h264"]}
    upload, headers = await created_with(cell, len(data), **limits)
    for number in range(1, upload["segment_count"] + 1):
        status, body, _ = await cell.put(upload, number, data, headers=headers)
        assert status == 200, body
    await cell.until(upload["id"], "ready")
    content = await cell.content(upload["id"])
    assert content["owner"] == "alice"
    # The token of the upload reads the content that it has become, and no other.
    _, body, _ = await cell.call("GET", f"/v1/contents/{upload['id']}", headers=headers, expect=200)
    assert body["data"]["id"] == upload["id"]
