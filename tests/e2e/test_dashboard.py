"""The dashboard in Chromium shows a running cell truly, and its actions work."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.access import Scope
from tests.harness.axe import serious
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.chromium import Browser, Page, chromium
from tests.harness.keys import WITH_KEYS, as_caller, make_key
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

DESK, PHONE = (1440, 900), (390, 844)
_BUDGET_BYTES = 16 * SEGMENT_BYTES
_SHOWN = "!document.getElementById('board').hidden"


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    directory = tmp_path_factory.mktemp("dashboard")
    with cell_processes(
        servers,
        directory,
        auth=WITH_KEYS["auth"],
        signing_secret=WITH_KEYS["signing_secret"],
        temp_budget_bytes=_BUDGET_BYTES,
        temp_share=1,
    ) as started:
        yield started


@dataclass(frozen=True)
class Scene:
    """A cell with uploads of most kinds, as its owner sees it, and a browser."""

    cell: Cell
    browser: Browser
    operator: Cell
    key: str
    ready: dict[str, Any]
    failed: dict[str, Any]
    receiving: dict[str, Any]
    waiting: list[dict[str, Any]]

    async def page(self, size: tuple[int, int] = DESK, *, dark: bool = False) -> Page:
        """The dashboard, signed in."""
        page = await self.browser.page(*size, dark=dark)
        await page.open(f"{self.cell.url}/dashboard#key={self.key}", _SHOWN)
        assert await page.run("location.hash") == "", "the key is no longer in the address bar"
        await page.until("document.querySelectorAll('.upload').length > 0")
        return page


@pytest.fixture
async def scene(guarded: CellProcesses, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as exits:
        connected = await exits.enter_async_context(guarded.connected())
        cell = await exits.enter_async_context(as_caller(connected, "alice"))
        operator = await exits.enter_async_context(as_caller(connected, "ops", Scope.OPERATE))
        browser = await exits.enter_async_context(chromium(tmp_path / "profile"))
        _, key = await make_key(cell.settings, "ops", Scope.OPERATE)
        ready = await cell.upload(sample("mp4").read_bytes(), filename="ready <img src=x onerror=boom()>.mp4")
        wrong = b"nothing" * (SEGMENT_BYTES // 4)
        failed = await cell.create(len(wrong), filename="not media.mp4")
        await cell.put_all(failed, wrong)
        await cell.until(failed["id"], "failed")
        data = sample("mp4").read_bytes().ljust(10 * SEGMENT_BYTES, b"\0")
        receiving = await cell.create(len(data), filename="receiving.mp4")
        await cell.until(receiving["id"], "admitted")
        for number in (2, 3, 4):  # without the first no metadata, and without metadata no early release
            await cell.put(receiving, number, data)
        waiting = [await cell.create(12 * SEGMENT_BYTES, filename=f"waiting {n}.mp4") for n in range(3)]
        yield Scene(cell, browser, operator, key, ready, failed, receiving, waiting)
        for view in (receiving, *waiting):
            await cell.call("DELETE", f"/v1/uploads/{view['id']}")
        await cell.call("DELETE", f"/v1/contents/{ready['id']}")


async def _status(scene: Scene) -> dict[str, Any]:
    _, body, _ = await scene.operator.call("GET", "/v1/status", expect=200)
    data: dict[str, Any] = body["data"]
    return data


async def _volume(scene: Scene) -> dict[str, Any]:
    (volume,) = [item for item in (await _status(scene))["volumes"] if item["name"] == scene.cell.settings.volume]
    found: dict[str, Any] = volume
    return found


async def _tiles(page: Page) -> dict[str, int]:
    found: dict[str, int] = await page.run(
        "Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) =>"
        " [tile.dataset.status, Number(tile.querySelector('strong').textContent)]))"
    )
    return found


async def _texts(page: Page, selector: str) -> list[str]:
    found: list[str] = await page.run(f"[...document.querySelectorAll({selector!r})].map((part) => part.textContent)")
    return found


async def test_it_shows_what_the_api_says(scene: Scene) -> None:
    page = await scene.page()

    async def equal() -> bool:
        counts = {item["status"]: item["count"] for item in (await _status(scene))["statuses"]}
        return await _tiles(page) == counts

    async def cleaned() -> bool:
        return bool((await _volume(scene))["holding"] == 1)

    await eventually(equal, 30, lambda: "the tiles to equal the API")
    await eventually(cleaned, 30, lambda: "only the upload that receives to hold room")
    overview, volume = await _status(scene), await _volume(scene)
    assert [item["id"] for item in volume["queue"]] == [view["id"] for view in scene.waiting]
    assert await _texts(page, ".queue tbody th") == [view["filename"] for view in scene.waiting]
    assert volume["waiting"] == 3
    assert volume["budget"] == _BUDGET_BYTES
    assert volume["reserved"] >= 10 * SEGMENT_BYTES
    codes = Counter({item["code"]: item["count"] for item in overview["failures"]["codes"]})
    assert codes["NOT_MEDIA"] >= 1
    assert await _texts(page, ".codes code") == list(codes)
    assert {item["stage"]: item["failed"] for item in overview["stages"]}["probe"] >= 1
    assert [item["name"] for item in overview["workers"]] == await _texts(page, ".workers strong")
    assert set(overview["workers"][0]["types"]) >= {"admission", "transfer", "persist"}

    names = await _texts(page, ".upload .name button")
    assert {"ready <img src=x onerror=boom()>.mp4", "not media.mp4", "receiving.mp4"} <= set(names), "names are text"
    badges = dict(zip(names, await _texts(page, ".upload .badge"), strict=True))
    assert badges["waiting 0.mp4"] == "waiting, no. 1"
    assert (badges["not media.mp4"], badges["receiving.mp4"]) == ("failed", "receiving")
    await page.until("document.querySelectorAll('#contents li').length > 0")
    await page.until("document.querySelector('#contents img')?.naturalWidth > 0")
    assert page.errors == []


async def test_search_and_timeline(scene: Scene) -> None:
    page = await scene.page()
    await page.run("(document.getElementById('q').value = 'NOT med', document.getElementById('q').focus())")
    await page.press("Enter")
    await page.until(
        "[...document.querySelectorAll('.upload .name button')].every((b) => b.textContent === 'not media.mp4')"
    )
    assert "examined" in (await _texts(page, "#found"))[0]
    assert await page.run("document.activeElement.id") == "q", "the focus stays through refreshes"
    await page.run("document.querySelector('.upload .name button').click()")
    await page.until("document.getElementById('timeline').open")
    rows = await _texts(page, "#timeline .rows li")
    (probe,) = [row for row in rows if row.startswith("probe")]
    assert "failed" in probe
    assert "NOT_MEDIA" in probe
    assert await serious(page) == []
    await page.press("Escape")
    await page.until("!document.getElementById('timeline').open")
    _, body, _ = await scene.operator.call("GET", f"/v1/status/uploads/{scene.ready['id']}", expect=200)
    data = body["data"]
    assert data["upload"]["id"] == scene.ready["id"]
    assert data["upload"]["created_at"] <= data["admitted_at"] <= data["received_at"] <= data["ended_at"]
    assert {stage["stage"]: stage["state"] for stage in data["stages"]}["persist"] == "done"


async def test_an_upload_is_cancelled_after_a_question(scene: Scene) -> None:
    page = await scene.page()
    target = scene.waiting[2]["id"]
    await page.until(f"document.querySelector('[data-action=cancel][data-id=\"{target}\"]')")
    await page.run(f"document.querySelector('[data-action=cancel][data-id=\"{target}\"]').click()")
    await page.until("document.getElementById('confirm').open")
    await page.press("Escape")
    await page.until("!document.getElementById('confirm').open")
    await page.run(f"document.querySelector('[data-action=cancel][data-id=\"{target}\"]').click()")
    await page.run("document.querySelector('[data-answer=no]').click()")
    assert (await scene.cell.status(target))["status"] == "waiting"
    await page.run(f"document.querySelector('[data-action=cancel][data-id=\"{target}\"]').click()")
    await page.run("document.querySelector('[data-answer=yes]').click()")
    await page.until(f"document.querySelector('[data-key=\"{target}\"] .badge').textContent === 'cancelled'")
    assert (await scene.cell.status(target))["status"] == "cancelled"


async def test_a_content_is_deleted_by_keyboard_after_a_question(scene: Scene) -> None:
    page = await scene.page()
    name = scene.ready["id"]
    button = f"document.querySelector('[data-action=delete][data-id=\"{name}\"]')"
    await page.until(button)
    await page.run(f"{button}.focus()")
    await page.press("Enter")
    await page.until("document.getElementById('confirm').open")
    assert await page.run("document.activeElement.dataset.answer") == "no", "the harmless answer comes first"
    assert await serious(page) == []
    await page.press("Tab", "Enter")
    await page.until(f"!{button}")
    await page.until("document.getElementById('said').textContent.endsWith('is deleted.')")
    status, _, _ = await scene.cell.call("GET", f"/v1/contents/{name}")
    assert status == 404


async def test_it_fits_and_is_accessible(scene: Scene) -> None:
    for size in (DESK, PHONE):
        for dark in (False, True):
            page = await scene.page(size, dark=dark)
            await page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            assert await page.run("document.documentElement.scrollWidth") <= size[0]
            assert await serious(page) == [], (size, dark)


async def test_a_key_without_the_scope_is_told_what_is_missing(scene: Scene) -> None:
    _, key = await make_key(scene.cell.settings, "alice", Scope.READ, Scope.UPLOAD)
    page = await scene.browser.page(*DESK)
    await page.open(f"{scene.cell.url}/dashboard", "!document.getElementById('sign-in').hidden")
    assert await page.run("document.activeElement.id") == "key"
    assert await serious(page) == []
    for given, said in ((key, "does not have the scope operate"), ("nonsense", "was refused")):
        await page.run(f"document.getElementById('key').value = {given!r}")
        await page.press("Enter")
        await page.until(f"document.getElementById('sign-in-error').textContent.includes({said!r})")
        assert await page.run("sessionStorage.length") == 0
    await page.run(f"document.getElementById('key').value = {scene.key!r}")
    await page.press("Enter")
    await page.until(_SHOWN)
    assert not await page.run("document.querySelector('[data-action=sign-out]').hidden")
    await page.run("document.querySelector('[data-action=sign-out]').click()")
    await page.until("document.getElementById('sign-in')?.hidden === false")
