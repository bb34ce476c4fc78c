"""/upload in headless Chromium: files that wait for room, a reload, no connection, refused files, accessibility."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.access import Scope
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.chromium import Browser, chromium
from tests.harness.javascript import require_javascript
from tests.harness.keys import WITH_KEYS, make_key
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.upload_page import UploadPage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

_SEGMENTS = 26  # so many that the client sends the first ones one at a time
_SLOW = 1_000_000  # bytes per second: several segments are under way when something happens


def film(directory: Path, name: str = "film.mp4", segments: int = _SEGMENTS) -> Path:
    """A video of so many segments, no two alike."""
    head = sample("mp4").read_bytes()
    rest = segments * SEGMENT_BYTES - len(head)
    path = directory / name
    path.write_bytes(head + rest.to_bytes(4, "big") + b"free" + os.urandom(rest - 8))
    return path


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    """A cell whose temp volume holds one film, with room for one more segment."""
    settings: dict[str, Any] = {
        **WITH_KEYS,
        "temp_budget_bytes": (_SEGMENTS + 1) * SEGMENT_BYTES,
        "temp_share": 1,
        "owner_share": 1,
    }
    with cell_processes(servers, tmp_path_factory.mktemp("page"), **settings) as started:
        yield started


@pytest.fixture
async def cell(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected:
        yield connected


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with chromium(tmp_path / "profile") as started:
        yield started


async def new_key(cell: Cell) -> str:
    _, key = await make_key(cell.settings, f"owner-{os.urandom(4).hex()}", Scope.UPLOAD, Scope.READ)
    return key


async def require_stored(cell: Cell, key: str, content_id: str, file: Path) -> None:
    """The store has this file: the digests of the segments are compared, since Swift slows down downloads of manifests
    with many small segments."""
    headers = {"Authorization": f"Bearer {key}"}
    async with cell.http.get(f"{cell.url}/v1/contents/{content_id}/segments", headers=headers) as response:
        found = (await response.json())["data"]["segments"]
    with file.open("rb") as content:
        digests = [hashlib.md5(content.read(item["size"]), usedforsecurity=False).digest() for item in found]
        assert content.read() == b""
    assert [item["digest"] for item in found] == [f"md5=:{base64.b64encode(one).decode()}:" for one in digests]


async def listed(cell: Cell, key: str, kind: str) -> list[dict[str, object]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with cell.http.get(f"{cell.url}/v1/{kind}", headers=headers) as response:
        found: list[dict[str, object]] = (await response.json())["data"]["items"]
        return found


async def opened(browser: Browser, cell: Cell, credential: str) -> UploadPage:
    page = UploadPage(await browser.page(1440, 900), cell.url)
    await page.open(credential)
    return page


async def test_three_files_at_once_where_one_has_room(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    assert "key" not in await page.page.run("location.href")
    files = [film(tmp_path, f"{name}.mp4") for name in ("one", "two", "three")]
    await page.give(*files)
    cards = await page.until(["Ready", "Ready", "Ready"])
    assert all(card["media"] for card in cards)
    await page.page.until("[...document.querySelectorAll('.card img')].every(image => !image.hidden)")
    shown = [card for moment in await page.history() for card in moment]
    assert any("number 1 in the queue" in card["state"] for card in shown)
    contents = await listed(cell, key, "contents")
    assert {content["filename"] for content in contents} == {file.name for file in files}
    for content in contents:
        await require_stored(cell, key, str(content["id"]), tmp_path / str(content["filename"]))
    assert page.page.errors == []


async def test_metadata_and_thumbnail_come_while_bytes_are_sent(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page = await opened(browser, cell, f"key={await new_key(cell)}")
    await page.network(bytes_per_second=_SLOW)
    await page.give(film(tmp_path))
    await page.page.until(
        "!document.querySelector('.card img')?.hidden && document.querySelector('.card .media').textContent"
    )
    card = (await page.cards())[0]
    assert card["sent"] < 1
    assert card["media"].startswith("320 ")
    await page.network()
    await page.until(["Ready"])


async def test_a_reload_continues_with_what_is_missing(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=_SLOW)
    file = film(tmp_path)
    await page.give(file)
    await page.page.until(f"document.querySelector('progress').value > {3 / _SEGMENTS}")
    await page.reload()
    await page.network()
    card = (await page.until(["Unfinished"]))[0]
    assert card["sent"] > 0
    await page.page.send("Page.setInterceptFileChooserDialog", enabled=True)
    other = film(tmp_path, "another.mp4", 3)
    await page.press("again")
    await page.give(other, to="again")
    await page.page.until("!document.querySelector('.error').hidden")
    assert (await page.cards())[0]["code"].startswith("FILE_DIFFERS")
    await page.press("again")
    await page.give(file, to="again")
    await page.until(["Ready"])
    uploads = await listed(cell, key, "uploads")
    assert len(uploads) == 1
    await require_stored(cell, key, str(uploads[0]["id"]), file)


async def test_an_upload_waits_while_the_device_is_offline(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=_SLOW)
    file = film(tmp_path)
    await page.give(file)
    await page.page.until(f"document.querySelector('progress').value > {3 / _SEGMENTS}")
    await page.network(offline=True)
    card = (await page.until(["Offline"]))[0]
    assert "continues when the connection is back" in card["state"]
    await page.network()
    await page.until(["Ready"])
    uploads = await listed(cell, key, "uploads")
    assert len(uploads) == 1
    await require_stored(cell, key, str(uploads[0]["id"]), file)


async def test_what_is_no_media_is_refused_early(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page = await opened(browser, cell, f"key={await new_key(cell)}")
    await page.network(bytes_per_second=_SLOW)
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(os.urandom(_SEGMENTS * SEGMENT_BYTES))
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    await page.give(fake, empty, text)
    cards = await page.until(["Failed", "Refused", "Failed"])
    assert [card["code"].split(" ")[0] for card in cards] == ["NOT_MEDIA", "FILE_EMPTY", "CONTENT_TYPE_NOT_MEDIA"]
    assert all("another file" in card["why"] for card in cards)
    sent = [card["sent"] for moment in await page.history() for card in moment if card["name"] == "fake.mp4"]
    assert max(sent) < 1
    await page.page.until("document.getElementById('said').textContent.includes('fake.mp4: This is not a video')")


async def test_pause_resume_and_cancel(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=_SLOW)
    await page.give(film(tmp_path))
    await page.page.until(f"document.querySelector('progress').value > {1 / _SEGMENTS}")
    await page.press("pause")
    await page.until(["Paused"])
    await page.press("resume")
    await page.until(["Uploading"])
    await page.press("cancel")
    await page.until(["Cancelled"])

    async def is_cancelled() -> bool:
        return [upload["status"] for upload in await listed(cell, key, "uploads")] == ["cancelled"]

    await eventually(is_cancelled, 30, lambda: "the server to end the upload")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
async def test_anybody_can_use_it(browser: Browser, cell: Cell, tmp_path: Path, width: int, dark: bool) -> None:
    require_javascript()
    page = UploadPage(await browser.page(width, 844, dark=dark), cell.url)
    await page.open()
    assert await page.violations() == []
    assert await page.page.run("document.activeElement.id") == "credential"
    for character in "wrong":
        await page.page.press(character)
    await page.page.press("Enter")
    await page.page.until("document.getElementById('sign-in-why').textContent.includes('not valid')")
    await page.page.run(f"document.getElementById('credential').value = {(await new_key(cell))!r}")
    await page.page.press("Enter")
    await page.page.until("document.activeElement.id === 'choose-files'")
    assert await page.violations() == []
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(os.urandom(1000))
    await page.give(film(tmp_path), fake)
    await page.until(["Ready", "Failed"])
    assert await page.violations() == []
    assert await page.page.run("document.documentElement.scrollWidth") <= width
