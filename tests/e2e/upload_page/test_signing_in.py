"""Permits on /upload: links with a permit, and what happens when a permit or the token of an upload expires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.upload_page.scenes import (
    SLOW,
    film,
    listed,
    new_key,
    new_permit,
    opened,
    require_stored,
    send_slowly,
)
from tests.harness.axe import serious
from tests.harness.cell import Cell, eventually
from tests.harness.chromium import Browser
from tests.harness.javascript import require_javascript
from tests.harness.keys import WITH_KEYS, bearer
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.harness.upload_page import UploadPage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

_PERMIT_SECONDS = 10
# A film of which much is left when the permit expires, however many segments the client then sends at once.
_MANY_SEGMENTS = 100
_TEXT = "document.getElementById('sign-in-why').textContent"


async def until_expired(cell: Cell, token: str) -> None:
    async def is_expired() -> bool:
        status, _, _ = await cell.call("GET", "/v1/uploads", headers=bearer(token))
        return status == 401

    await eventually(is_expired, 30, lambda: "the permit to expire")


async def sign_in(page: UploadPage, credential: str) -> None:
    await page.page.run(
        f"(document.getElementById('credential').value = {credential!r}, document.getElementById('credential').focus())"
    )
    await page.page.press("Enter")
    await page.page.until("document.getElementById('sign-in').hidden")


async def test_a_link_with_a_permit_uploads_within_it(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    permit = await new_permit(cell, key, count=1)
    page = await opened(browser, cell, f"permit={permit}")
    assert permit not in await page.page.run("location.href")
    await page.give(film(tmp_path, segments=1))
    await page.until(["Ready"])
    await page.give(film(tmp_path, "second.mp4", 1))
    cards = await page.until(["Ready", "Refused"])
    assert cards[1]["code"].startswith("PERMIT_EXCEEDED")
    assert [item["filename"] for item in await listed(cell, key, "contents")] == ["film.mp4"]
    assert await page.page.run("sessionStorage.length") == 1


async def test_a_link_that_is_opened_in_a_tab_of_the_page_signs_in(browser: Browser, cell: Cell) -> None:
    key = await new_key(cell)
    for path, condition in (
        ("upload", "!document.getElementById('drop').hidden"),
        ("dashboard", "document.getElementById('sign-in-error').textContent.includes('does not have the scope')"),
    ):
        page = await browser.page(1440, 900)
        await page.open(f"{cell.url}/{path}", "!document.getElementById('sign-in').hidden")
        await page.run(f"location.hash = 'key={key}'")
        await page.until(condition)
        assert key not in await page.run("location.href")


async def test_a_permit_that_expires_does_not_end_what_is_sent(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    require_javascript()
    key = await new_key(cell)
    permit = await new_permit(cell, key, expires_in=_PERMIT_SECONDS, count=5)
    page = await opened(browser, cell, f"permit={permit}")
    file, later = film(tmp_path), film(tmp_path, "later.mp4", 1)
    await send_slowly(page, file, 1)
    await until_expired(cell, permit)
    await page.give(later)
    cards = await page.until(["Uploading", "Stopped"])
    assert "has expired" in cards[1]["why"]
    assert await page.page.run(_TEXT) == "The key or permit has expired. Enter a new one. Your upload then continues."
    assert await page.page.run("document.activeElement.id") == "credential"
    assert await serious(page.page) == []
    await page.network()
    await sign_in(page, await new_permit(cell, key, count=1))
    await page.until(["Ready", "Ready"])
    contents = {item["filename"]: item["id"] for item in await listed(cell, key, "contents")}
    await require_stored(cell, key, contents["film.mp4"], file)
    await require_stored(cell, key, contents["later.mp4"], later)
    assert len(await listed(cell, key, "uploads")) == 2


async def test_an_upload_outlives_its_token_as_long_as_its_permit(
    browser: Browser, servers: Servers, tmp_path: Path
) -> None:
    """A new token for the same upload needs the credential that created it. Another permit does not know the upload, so
    the file is sent again, as one upload."""
    settings: dict[str, Any] = {**WITH_KEYS, "upload_token_seconds": 2}
    async with running_cell(servers, tmp_path / "cell", **settings) as cell:
        key = await new_key(cell)
        permit = await new_permit(cell, key, expires_in=_PERMIT_SECONDS, count=1)
        page = await opened(browser, cell, f"permit={permit}")
        file = film(tmp_path, segments=_MANY_SEGMENTS)
        await send_slowly(page, file, 1)
        (card,) = await page.until(["Stopped"])
        assert card["code"].startswith("CREDENTIAL_")
        (upload,) = await listed(cell, key, "uploads")
        assert upload["bytes_received"] > 2 * SLOW, "it was sent for longer than its first token was valid"
        await page.network()
        await sign_in(page, await new_permit(cell, key, count=1))
        await page.until(["Ready"])
        ready = [item for item in await listed(cell, key, "uploads") if item["status"] == "ready"]
        assert [item["id"] == upload["id"] for item in ready] == [False]
        await require_stored(cell, key, ready[0]["id"], file)


async def test_an_upload_whose_token_has_expired_continues_with_its_key(
    browser: Browser, servers: Servers, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**WITH_KEYS, "upload_token_seconds": 2}
    async with running_cell(servers, tmp_path / "cell", **settings) as cell:
        key = await new_key(cell)
        page = await opened(browser, cell, f"key={key}")
        file = film(tmp_path)
        await send_slowly(page, file, 4)
        await page.reload()
        await page.network()
        await page.until(["Unfinished"])
        await page.page.run("globalThis.showOpenFilePicker = undefined")
        await page.page.send("Page.setInterceptFileChooserDialog", enabled=True)
        await page.press("again")
        await page.give(file, to="again")
        await page.until(["Ready"])
        (upload,) = await listed(cell, key, "uploads")
        await require_stored(cell, key, upload["id"], file)
