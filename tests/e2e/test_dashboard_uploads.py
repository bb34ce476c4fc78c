"""The dashboard in Chromium: uploads of which something is not known yet or that are parts of a file, and a stage that
is paused by an outage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.companion_client import PART_BYTES, CompanionClient
from tests.e2e.test_tus_concatenation import HEADERS, new_part
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.chromium import Browser, Page, chromium
from tests.harness.faults.cells import shaped_cell
from tests.harness.faults.kinds import Pass, Refuse
from tests.harness.media_samples import long_video, sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(180)]

_ROWS = """Object.fromEntries([...document.querySelectorAll('.upload')].map((row) => [row.dataset.key, {
  badge: row.querySelector('.badge').textContent,
  name: row.querySelector('.name small').textContent,
  progress: row.querySelector('.progress small').textContent,
  label: row.querySelector('.meter').getAttribute('aria-label'),
  bars: row.querySelectorAll('.meter rect').length,
}]))"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with chromium(tmp_path / "profile") as started:
        yield started


async def _dashboard(browser: Browser, cell: Cell, *, width: int = 1440) -> Page:
    page = await browser.page(width, 900)
    await page.open(f"{cell.url}/dashboard", "!document.getElementById('board').hidden")
    assert await page.run("document.querySelector('[data-action=sign-out]').hidden")  # nobody has signed in
    return page


async def _row(page: Page, upload_id: str, badge: str) -> dict[str, Any]:
    """What the list shows of an upload once its badge says this."""
    await page.until(f"document.querySelector('[data-key=\"{upload_id}\"] .badge')?.textContent === '{badge}'")
    found: dict[str, Any] = (await page.run(_ROWS))[upload_id]
    return found


async def _timeline(page: Page, upload_id: str) -> dict[str, Any]:
    """The timeline of an upload: its text, and the text of each row."""
    await page.run(f"document.querySelector('.upload [data-id=\"{upload_id}\"]').click()")
    await page.until("document.getElementById('timeline').open")
    found: dict[str, Any] = await page.run(
        "({text: document.getElementById('timeline-body').textContent, rows: Object.fromEntries("
        "[...document.querySelectorAll('#timeline .rows li')].map((row) =>"
        " [row.querySelector('strong').textContent, row.querySelector('.fact').textContent]))})"
    )
    await page.press("Escape")
    await page.until("!document.getElementById('timeline').open")
    return found


async def test_parts_of_a_file_and_what_they_become(browser: Browser, cell: Cell) -> None:
    film = long_video(12 * SEGMENT_BYTES)
    cut = 5 * SEGMENT_BYTES + 1
    urls = [await new_part(cell, film[:cut]), await new_part(cell, film[cut:])]
    parts = [url.rpartition("/")[2] for url in urls]
    for part in parts:
        await cell.until(part, "held")
    page = await _dashboard(browser, cell)
    for part in parts:
        row = await _row(page, part, "held")
        assert "part of a file" in row["name"]
        assert row["progress"].endswith("100 % received, 100 % stored")
    shown = await _timeline(page, parts[0])
    assert "waits for the final upload" in shown["text"]
    assert "waits for its final upload" in shown["rows"]["held"]
    assert {"waiting", "receiving"} <= set(shown["rows"]), "a part waits for room too"
    async with cell.http.post(
        f"{cell.url}/files/", headers={**HEADERS, "Upload-Concat": f"final;{' '.join(urls)}"}
    ) as response:
        assert response.status == 201, await response.text()
        final = response.headers["Location"].rpartition("/")[2]
    await cell.until(final, "ready")
    assert "joined from parts" in (await _row(page, final, "ready"))["name"]
    row = await _row(page, parts[0], "joined")
    assert row["progress"].endswith("100 % received, 100 % stored"), "nothing of it is missing"
    assert not {"waiting", "receiving", "held"} & set((await _timeline(page, final))["rows"])
    shown = await _timeline(page, parts[0])
    assert "belongs to the final upload" in shown["text"]
    assert "until its final upload named it" in shown["rows"]["held"]
    assert page.errors == []


async def test_a_size_that_is_not_known_is_not_shown(browser: Browser, cell: Cell) -> None:
    film = long_video(12 * SEGMENT_BYTES)
    created = {**HEADERS, "Upload-Defer-Length": "1"}
    async with cell.http.post(f"{cell.url}/files/", headers=created) as response:
        assert response.status == 201, await response.text()
        url = response.headers["Location"]
    upload = url.rpartition("/")[2]

    async def append(offset: int, data: bytes, **more: str) -> None:
        sent = {**HEADERS, **more, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        async with cell.http.patch(url, headers=sent, data=BytesIO(data)) as response:
            assert response.status == 204, await response.text()

    page = await _dashboard(browser, cell)
    first = 3 * SEGMENT_BYTES
    await append(0, film[:first])
    await page.until(
        f"document.querySelector('[data-key=\"{upload}\"] .progress')?.textContent.includes('768 KiB received')"
    )
    row = (await page.run(_ROWS))[upload]
    assert "%" not in row["progress"] + row["label"], "nothing is a share of a size that is not known"
    assert row["progress"] == "size not known · 768 KiB received, 0 B stored"
    assert row["bars"] == 0
    shown = await _timeline(page, upload)
    assert "%" not in shown["text"]
    assert shown["rows"]["receiving"].endswith("of a size that is not known")
    await append(first, film[first:], **{"Upload-Length": str(len(film))})
    await cell.until(upload, "ready")
    row = await _row(page, upload, "ready")
    assert row["progress"].endswith("100 % received, 100 % stored")
    assert row["bars"] == 3
    assert page.errors == []


async def test_a_size_that_uppy_has_announced_is_shown(browser: Browser, servers: Servers, tmp_path: Path) -> None:
    """How long its parts are is not known until it is complete; its size may be."""
    async with running_cell(servers, tmp_path / "cell", swift_tempurl_key="a-key-of-the-test") as cell:
        announced, other = CompanionClient(cell, cell.url), CompanionClient(cell, cell.url)
        await announced.create(metadata={"size": 3 * PART_BYTES})
        await other.create()
        views = [await cell.status(client.key) for client in (announced, other)]
        assert [(view["deferred"], view["size"]) for view in views] == [("plan", 3 * PART_BYTES), ("size", 0)]
        page = await _dashboard(browser, cell)
        row = await _row(page, announced.key, "granted")
        assert row["progress"] == "15.0 MiB · 0 % received, 0 % stored"
        assert (await _row(page, other.key, "granted"))["progress"] == "size not known · 0 B received, 0 B stored"
        assert (await other.of_upload("GET", "/2"))[0] == 200
        progress = f"document.querySelector('[data-key=\"{other.key}\"] .progress').textContent"
        await page.until(f"{progress}.startsWith('at least 5.00 MiB')")
        assert "of 15.0 MiB" in (await _timeline(page, announced.key))["rows"]["receiving"]
        assert page.errors == []


async def test_a_paused_stage_is_retried_now(browser: Browser, servers: Servers, tmp_path: Path) -> None:
    data = sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES, b"\0")
    async with shaped_cell(servers, tmp_path, "swift") as (cell, shaper):
        upload = await cell.create(len(data))
        await cell.until(upload["id"], "admitted")
        await shaper.set(Refuse())
        await cell.put_all(upload, data)
        path = f"/v1/status/uploads/{upload['id']}"

        async def transfer() -> dict[str, Any]:
            _, body, _ = await cell.call("GET", path, expect=200)
            (stage,) = [stage for stage in body["data"]["stages"] if stage["stage"] == "transfer"]
            found: dict[str, Any] = stage
            return found

        async def paused_often() -> bool:
            stage = await transfer()
            return bool(stage["outages"] >= 4 and stage["state"] == "queued")

        # Pauses grow with each attempt: after some, one lasts longer than drawing the button and clicking it.
        await eventually(paused_often, 60, lambda: "the stage to be paused by the outage")
        page = await _dashboard(browser, cell)
        await page.until(f"document.querySelector('.upload [data-id=\"{upload['id']}\"]')")
        await page.run(f"document.querySelector('.upload [data-id=\"{upload['id']}\"]').click()")
        button = "document.querySelector('#timeline [data-action=retry][data-stage=transfer]')"
        await page.until(button)
        row = await page.run(f"{button}.closest('li').textContent")
        assert "the object store has been unavailable for" in row
        said = "document.getElementById('said').textContent"
        before = (await transfer())["attempts"]
        await page.until(f"{said} === 'transfer runs now.' || ({button}?.click(), false)")

        async def ran_again() -> bool:
            return bool((await transfer())["attempts"] > before)

        await eventually(ran_again, 30, lambda: "another attempt")
        await shaper.set(Pass())
        await page.until(
            f"document.querySelector('#timeline .badge').textContent === 'ready' || ({button}?.click(), false)"
        )
        assert (await cell.until(upload["id"], "ready"))["content_id"] == upload["id"]
        await page.until(f"!{button}")
