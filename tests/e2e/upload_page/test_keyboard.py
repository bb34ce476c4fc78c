"""/upload by keyboard alone, and what a screen reader is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.upload_page.scenes import SLOW, film, new_key, opened, send_slowly
from tests.harness.axe import serious
from tests.harness.cell import Cell
from tests.harness.chromium import Browser, Page
from tests.harness.javascript import require_javascript

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

_FOCUS = "(document.activeElement.dataset.action ?? document.activeElement.id)"


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this action or id has the focus, which has to be visible."""
    for _ in range(40):
        if await page.run(_FOCUS) == name:
            assert await page.run("document.activeElement.matches(':focus-visible')")
            return
        await page.press("Tab")
    raise AssertionError(f"{name} cannot be reached by Tab")


async def test_an_upload_by_keyboard_alone(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    require_javascript()
    page = await opened(browser, cell)
    window = page.page
    for character in await new_key(cell):
        await window.press(character)
    await window.press("Enter")
    await window.until(f"{_FOCUS} === 'choose-files'")
    await window.run("globalThis.showOpenFilePicker = undefined")  # as in browsers that have none
    await window.send("Page.setInterceptFileChooserDialog", enabled=True)
    await window.press("Enter")
    await send_slowly(page, film(tmp_path), 2)
    await tab_to(window, "pause")
    await window.press("Enter")
    await page.until(["Paused"])
    assert await window.run(_FOCUS) == "resume", "the focus stays where the button was"
    assert await serious(page.page) == []
    await window.press("Space")
    await page.until(["Uploading"])
    await page.network(offline=True)
    await page.until(["Offline"])
    assert await serious(page.page) == []
    await page.network()
    await page.until(["Ready"])
    await window.until("document.getElementById('said').textContent.includes('film.mp4: Ready.')")
    assert await serious(page.page) == []
    await tab_to(window, "remove")
    await window.press("Enter")
    assert await page.cards() == []
    assert await window.run(_FOCUS) == "choose-files"


async def test_an_upload_is_cancelled_by_keyboard(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page = await opened(browser, cell, f"key={await new_key(cell)}")
    await page.network(bytes_per_second=SLOW)
    await page.give(film(tmp_path), film(tmp_path, "second.mp4"))
    await page.page.until("[...document.querySelectorAll('.badge')].some((one) => one.textContent === 'Waiting')")
    assert await serious(page.page) == []
    await tab_to(page.page, "cancel")
    await page.page.press("Enter")
    await page.page.until("document.querySelector('.badge').textContent === 'Cancelled'")
    assert "1 cancelled" in await page.page.run("document.getElementById('summary').textContent")
    assert await serious(page.page) == []
    await page.network()
    await page.until(["Cancelled", "Ready"])
