"""/upload in headless Chromium: files that wait for room, a reload, no connection, refused files, accessibility."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.upload_page.scenes import (
    SEGMENTS,
    SLOW,
    film,
    listed,
    new_key,
    opened,
    require_stored,
    send_slowly,
    sending,
)
from tests.harness.axe import serious
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.chromium import Browser
from tests.harness.upload_page import UploadPage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]


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
    await page.network(bytes_per_second=SLOW)
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
    page, key, file = await sending(browser, cell, tmp_path)
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
    page, key, file = await sending(browser, cell, tmp_path)
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
    await page.network(bytes_per_second=SLOW)
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"no video at all\n" * (SEGMENTS * SEGMENT_BYTES // 16))
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    await page.give(fake, empty, text)
    cards = await page.until(["Refused", "Refused", "Refused"])
    assert [card["code"].split(" ")[0] for card in cards] == ["NOT_MEDIA", "FILE_EMPTY", "CONTENT_TYPE_NOT_MEDIA"]
    assert all("another file" in card["why"] for card in cards)
    sent = [card["sent"] for moment in await page.history() for card in moment if card["name"] == "fake.mp4"]
    assert max(sent) < 1
    await page.page.until("document.getElementById('said').textContent.includes('fake.mp4: This is not a video')")
    assert await page.page.run("document.getElementById('summary').textContent") == "0 of 3 files ready, 3 refused"
    await page.reload()
    assert await page.cards() == [], "what was refused is not offered again"


async def test_pause_resume_and_cancel(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await send_slowly(page, film(tmp_path), 1)
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
    page = UploadPage(await browser.page(width, 844, dark=dark), cell.url)
    await page.open()
    assert await serious(page.page) == []
    assert await page.page.run("document.activeElement.id") == "credential"
    for character in "wrong":
        await page.page.press(character)
    await page.page.press("Enter")
    await page.page.until("document.getElementById('sign-in-why').textContent.includes('not valid')")
    await page.page.run(f"document.getElementById('credential').value = {(await new_key(cell))!r}")
    await page.page.press("Enter")
    await page.page.until("document.activeElement.id === 'choose-files'")
    assert await serious(page.page) == []
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(os.urandom(1000))
    await page.give(film(tmp_path), fake)
    await page.until(["Ready", "Refused"])
    assert await serious(page.page) == []
    assert await page.page.run("document.documentElement.scrollWidth") <= width
