"""The states of /upload that last as long as something else takes: what they show; axe finds nothing serious."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.upload_page.scenes import film, new_key, send_slowly
from tests.harness.axe import serious
from tests.harness.cell import Cell
from tests.harness.chromium import Browser
from tests.harness.upload_page import UploadPage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

LOOKS = pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])


async def _opened(browser: Browser, cell: Cell, width: int, dark: bool) -> UploadPage:
    page = UploadPage(await browser.page(width, 844, dark=dark), cell.url)
    await page.open(f"key={await new_key(cell)}")
    return page


@LOOKS
async def test_processing(browser: Browser, cell: Cell, tmp_path: Path, width: int, dark: bool) -> None:
    page = await _opened(browser, cell, width, dark)
    await send_slowly(page, film(tmp_path), 1)
    worker = cell.processes.child("worker-all")
    worker.stop(signal.SIGKILL)  # nothing finishes the file
    try:
        await page.network()
        (card,) = await page.until(["Processing"])
        assert card["state"].endswith("the server finishes the file")
        assert await page.page.run("!document.querySelector('.stages').hidden")
        assert await serious(page.page) == []
        assert await page.page.run("document.documentElement.scrollWidth") <= width
    finally:
        worker.start()
    await page.until(["Ready"])


@LOOKS
async def test_unfinished(browser: Browser, cell: Cell, tmp_path: Path, width: int, dark: bool) -> None:
    page = await _opened(browser, cell, width, dark)
    await send_slowly(page, film(tmp_path), 3)
    await page.reload()
    await page.network()
    (card,) = await page.until(["Unfinished"])
    assert "arrived before the page was closed" in card["state"]
    assert await serious(page.page) == []
    assert await page.page.run("document.documentElement.scrollWidth") <= width
    await page.press("discard")
    await page.until([])
