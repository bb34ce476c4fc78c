"""Files and folders that are dropped on /upload, and files that it opens again after a reload."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from tests.e2e.upload_page.scenes import SLOW, film, has_sent, listed, new_key, opened, require_stored
from tests.harness.cell import Cell
from tests.harness.chromium import Browser

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

_IN_THE_PAGE = (700, 200)


async def test_a_folder_and_a_file_are_dropped(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    trip = tmp_path / "trip"
    (trip / "day 1" / "empty").mkdir(parents=True)
    files = [film(trip, "drive.mp4", 1), film(trip / "day 1", "lake.mp4", 2), film(tmp_path, "alone.mp4", 1)]
    for name in (".DS_Store", "Thumbs.db"):
        (trip / name).write_bytes(os.urandom(100))
    await page.page.drop(trip, files[2], at=_IN_THE_PAGE)
    cards = await page.until(["Ready"] * 3)
    assert {card["name"] for card in cards} == {"drive.mp4", "lake.mp4", "alone.mp4"}
    folders = await page.page.run(
        "Object.fromEntries([...document.querySelectorAll('.card .name')].map((name) =>"
        " [name.firstChild.textContent, name.querySelector('small')?.textContent ?? '']))"
    )
    assert folders == {"drive.mp4": "trip", "lake.mp4": "trip/day 1", "alone.mp4": ""}
    contents = {item["filename"]: item["id"] for item in await listed(cell, key, "contents")}
    assert set(contents) == {file.name for file in files}
    for file in files:
        await require_stored(cell, key, contents[file.name], file)
    assert await page.page.run("document.getElementById('over').hidden"), "the cover of the window is gone"


async def test_two_files_of_one_name_in_a_folder_are_two_uploads(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    cards = tmp_path / "cards"
    for camera in ("a", "b"):
        (cards / camera).mkdir(parents=True)
        file = film(cards / camera, "take.mp4", 1)
        os.utime(file, (1_700_000_000, 1_700_000_000))  # alike but for the folder
    await page.page.drop(cards, at=_IN_THE_PAGE)
    await page.until(["Ready", "Ready"])
    assert len(await listed(cell, key, "contents")) == 2


async def test_what_is_dropped_before_signing_in_is_not_taken(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    page = await opened(browser, cell)
    await page.page.drop(film(tmp_path, segments=1), at=_IN_THE_PAGE)
    assert await page.cards() == []
    assert await page.page.run("location.pathname") == "/upload", "the browser does not open the file itself"


async def test_a_file_is_opened_again_after_a_reload(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    """A handle of the origin's private file system needs no permission, so nobody has to be asked. The picker is
    replaced, since a browser without a window shows none."""
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=SLOW)
    file = film(tmp_path)
    content = base64.b64encode(file.read_bytes()).decode()
    await page.page.run(
        f"""(async () => {{
          const root = await navigator.storage.getDirectory();
          const handle = await root.getFileHandle("film.mp4", {{ create: true }});
          const out = await handle.createWritable();
          await out.write(Uint8Array.from(atob("{content}"), (character) => character.charCodeAt(0)));
          await out.close();
          globalThis.showOpenFilePicker = async () => [handle];
          document.getElementById("choose-files").click();
        }})()"""
    )
    await has_sent(page, 3)
    before = (await page.cards())[0]["sent"]
    await page.reload()
    await page.network()
    await page.until(["Ready"])
    shown = [card for moment in await page.history() for card in moment]
    assert "Unfinished" not in {card["badge"] for card in shown}, "nobody has to choose the file"
    assert before > 0
    (upload,) = await listed(cell, key, "uploads")
    await require_stored(cell, key, upload["id"], file)


async def test_where_the_browser_has_to_ask_the_person_continues(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=SLOW)
    file = film(tmp_path)
    await page.page.drop(file, at=_IN_THE_PAGE)
    await has_sent(page, 3)
    await page.reload()
    await page.network()
    (card,) = await page.until(["Unfinished"])
    assert card["sent"] > 0
    assert await page.page.run("document.querySelector('[data-action=again]').firstChild.textContent") == "Continue"
    await page.page.drop(file, at=_IN_THE_PAGE)  # a test cannot answer the question of the browser
    await page.until(["Ready"])
    (upload,) = await listed(cell, key, "uploads")
    await require_stored(cell, key, upload["id"], file)


async def test_a_folder_that_is_chosen_again_continues_its_files(browser: Browser, cell: Cell, tmp_path: Path) -> None:
    key = await new_key(cell)
    page = await opened(browser, cell, f"key={key}")
    await page.network(bytes_per_second=SLOW)
    folder = tmp_path / "trip"
    folder.mkdir()
    file = film(folder)
    await page.page.drop(folder, at=_IN_THE_PAGE)
    await has_sent(page, 3)
    await page.reload()
    await page.network()
    await page.until(["Unfinished"])
    await page.page.drop(folder, at=_IN_THE_PAGE)
    await page.until(["Ready"])
    (upload,) = await listed(cell, key, "uploads")
    await require_stored(cell, key, upload["id"], file)
