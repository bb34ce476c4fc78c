"""What tests of /upload share: films, credentials, and what the server has of an upload."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from pipeline.core.access import Scope
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.chromium import Browser
from tests.harness.keys import bearer, make_key
from tests.harness.media_samples import sample
from tests.harness.upload_page import UploadPage

SEGMENTS = 26
"""Of a film: so many that the client sends the first ones one at a time."""
SLOW = 300_000
"""Bytes per second: a film takes longer than a permit of ten seconds is valid, and much of it is left when something
happens, also on a busy machine."""


def film(directory: Path, name: str = "film.mp4", segments: int = SEGMENTS) -> Path:
    """A video of so many segments, no two alike."""
    head = sample("mp4").read_bytes()
    rest = segments * SEGMENT_BYTES - len(head)
    path = directory / name
    path.write_bytes(head + rest.to_bytes(4, "big") + b"free" + os.urandom(rest - 8))
    return path


async def new_key(cell: Cell) -> str:
    """The key of a new owner."""
    _, key = await make_key(cell.settings, f"owner-{os.urandom(4).hex()}", Scope.UPLOAD, Scope.READ)
    return key


async def new_permit(cell: Cell, key: str, **limits: Any) -> str:
    """The token of a permit that this key has requested."""
    _, body, _ = await cell.call("POST", "/v1/permits", json=limits, headers=bearer(key), expect=201)
    token: str = body["data"]["token"]
    return token


async def require_stored(cell: Cell, key: str, content_id: str, file: Path) -> None:
    """The store has this file: the digests of the segments are compared, since Swift slows down downloads of manifests
    with many small segments."""
    async with cell.http.get(f"{cell.url}/v1/contents/{content_id}/segments", headers=bearer(key)) as response:
        found = (await response.json())["data"]["segments"]
    with file.open("rb") as content:
        digests = [hashlib.md5(content.read(item["size"]), usedforsecurity=False).digest() for item in found]
        assert content.read() == b""
    assert [item["digest"] for item in found] == [f"md5=:{base64.b64encode(one).decode()}:" for one in digests]


async def listed(cell: Cell, key: str, kind: str) -> list[dict[str, Any]]:
    """The `uploads` or `contents` of this key's owner."""
    async with cell.http.get(f"{cell.url}/v1/{kind}", headers=bearer(key)) as response:
        found: list[dict[str, Any]] = (await response.json())["data"]["items"]
        return found


async def opened(browser: Browser, cell: Cell, credential: str = "", *, width: int = 1440) -> UploadPage:
    """The page, with a credential in its fragment: `key=...` or `permit=...`."""
    page = UploadPage(await browser.page(width, 900), cell.url)
    await page.open(credential)
    return page


async def sending(browser: Browser, cell: Cell, directory: Path) -> tuple[UploadPage, str, Path]:
    """A page that sends a film slowly and has sent three of its segments; its key, and the film."""
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    file = film(directory)
    await send_slowly(page, file, 3)
    return page, key, file


async def send_slowly(page: UploadPage, file: Path, segments: int, *, bytes_per_second: int = SLOW) -> None:
    """Choose a film; returns while it is being sent, after so many segments."""
    await page.network(bytes_per_second=bytes_per_second)
    await page.give(file)
    await has_sent(page, segments)


async def has_sent(page: UploadPage, segments: int) -> None:
    """Wait until so many segments of the page's first film are sent."""
    await page.page.until(f"document.querySelector('progress')?.value > {segments / SEGMENTS}")
