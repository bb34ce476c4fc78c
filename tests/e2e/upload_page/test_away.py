"""A device that is away for so long that the server has removed its upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.upload_page.scenes import listed, opened, require_stored, sending
from tests.harness.cell import Cell, eventually
from tests.harness.chromium import Browser

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]


async def expire(cell: Cell, key: str) -> None:
    """Let the lease of this owner's upload lapse now, as it does after `SLUICE_LEASE_SECONDS` without a segment."""
    (upload,) = await listed(cell, key, "uploads")
    assert upload["status"] == "receiving", "it can expire"
    found: list[dict[str, Any]] = []

    async def is_expired() -> bool:
        await cell.redis.zadd(f"{cell.keys.volume(cell.settings.volume)}:leases", {upload["id"]: 1}, xx=True)
        found[:] = await listed(cell, key, "uploads")
        return [item["status"] for item in found] == ["expired"]

    await eventually(is_expired, 30, lambda: f"the upload to expire; what its owner has: {found}")


async def test_an_hour_offline(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page, key, file = await sending(browser, cell, tmp_path)
    await page.network(offline=True)
    await page.until(["Offline"])
    await expire(cell, key)
    await page.network()
    await page.until(["Ready"])
    uploads = {item["status"]: item["id"] for item in await listed(cell, key, "uploads")}
    assert set(uploads) == {"expired", "ready"}
    await require_stored(cell, key, uploads["ready"], file)
    expected = ("ERR_INTERNET_DISCONNECTED", "404 (Not Found)")  # 404: the page asks for what the server has removed
    assert [error for error in page.page.errors if not any(reason in error for reason in expected)] == []


async def test_an_hour_paused(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page, key, file = await sending(browser, cell, tmp_path)
    await page.press("pause")
    await page.until(["Paused"])
    await expire(cell, key)
    await page.network()
    await page.press("resume")
    await page.until(["Ready"])
    uploads = {item["status"]: item["id"] for item in await listed(cell, key, "uploads")}
    assert set(uploads) == {"expired", "ready"}
    await require_stored(cell, key, uploads["ready"], file)


async def test_an_hour_closed(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page, key, file = await sending(browser, cell, tmp_path)
    await page.page.kill()
    await expire(cell, key)
    page = await opened(browser, cell, f"key={key}")
    await page.page.send("Page.setInterceptFileChooserDialog", enabled=True)
    # The card asks the server first: it does not say that bytes are there which the server has removed.
    await page.page.until("document.querySelector('.state')?.textContent.includes('starts again')")
    (card,) = await page.until(["Unfinished"])
    assert card["sent"] == 0
    await page.press("again")
    await page.give(file, to="again")
    await page.until(["Ready"])
    ready = [item["id"] for item in await listed(cell, key, "uploads") if item["status"] == "ready"]
    await require_stored(cell, key, ready[0], file)
