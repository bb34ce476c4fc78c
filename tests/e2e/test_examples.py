"""The examples of docs/examples, built with Vite: in Chromium, on an origin of their own, they upload media files."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.test_docs_guide import choose
from tests.harness.cell import Cell, eventually
from tests.harness.chromium import Page, chromium
from tests.harness.javascript import MODULES, require_javascript
from tests.harness.keys import WITH_KEYS, as_caller
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.snippets import DOCS, filled_in

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(180)]

EXAMPLES = DOCS / "examples"
CLIENT = DOCS.parent / "gateway" / "pages" / "client"
_MOST_LINES = 60
_FILES = {"uppy": ["uppy.html"], "react": ["index.html", "vite.config.js", "src/main.jsx", "src/SluiceUpload.jsx"]}
_GATEWAY = "https://upload.example"
_ROWS = """JSON.stringify([...document.querySelectorAll('li')].map((row) => ({
  name: row.querySelector('b').textContent, state: row.querySelector('output').textContent,
  sent: row.querySelector('progress').position, retry: Boolean(row.querySelector('button:not([hidden])'))})))"""
_SECONDS = 90


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """The socket of the examples' own origin."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


@pytest.fixture(scope="module")
def started(
    servers: Servers, listener: socket.socket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    directory = tmp_path_factory.mktemp("examples")
    settings: dict[str, Any] = {**WITH_KEYS, "cors_origins": origin_of(listener)}
    with cell_processes(servers, directory, **settings) as running:
        yield running


def origin_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def source_of(name: str, file: str) -> str:
    return (EXAMPLES / ("" if name == "uppy" else name) / file).read_text("utf-8")


def build(name: str, directory: Path, gateway: str) -> Path:
    """Build an example against this gateway, with the packages that tests/javascript has; the folder to serve."""
    require_javascript()
    source = directory / "source"
    for file in _FILES[name]:
        text = source_of(name, file)
        target = source / ("index.html" if name == "uppy" else file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled_in(text, {_GATEWAY: gateway}) if _GATEWAY in text else text)
    modules = source / "node_modules"
    modules.mkdir()
    for package in (*MODULES.iterdir(), CLIENT):
        (modules / ("sluice-client" if package == CLIENT else package.name)).symlink_to(package)
    command = [str(MODULES / ".bin" / "vite"), "build", "--logLevel", "warn"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert (done.returncode, done.stderr) == (0, ""), done
    return source / "dist"


@asynccontextmanager
async def served(
    cell: Cell, listener: socket.socket, folder: Path, permits: list[dict[str, Any]]
) -> AsyncIterator[None]:
    """The examples' own origin: the files, and a backend that issues these permits, the last one for ever."""

    async def permit(request: web.Request) -> web.Response:
        wanted = permits.pop(0) if len(permits) > 1 else permits[0]
        _, answer, _ = await cell.call("POST", "/v1/permits", json=wanted, expect=201)
        return web.Response(text=answer["data"]["token"])

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / "index.html")

    app = web.Application()
    app.add_routes([web.post("/permit", permit), web.get("/", index), web.static("/", folder)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listener.dup()).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def rows(page: Page, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """What the page shows of each file, once the condition is true."""
    found: list[dict[str, Any]] = []

    async def shown() -> bool:
        found[:] = json.loads(await page.run(_ROWS))
        return condition(found)

    await eventually(shown, _SECONDS, lambda: f"the page to show something else than {found}")
    return found


@pytest.mark.parametrize("name", _FILES)
async def test_an_example(started: CellProcesses, listener: socket.socket, tmp_path: Path, name: str) -> None:
    """A file is refused, and accepted at the second attempt; another one is no media file. The page fits a phone."""
    film, fake = tmp_path / "a film with a name so long that it fills the row of a phone.mkv", tmp_path / "fake.mp4"
    film.write_bytes(long_video(3 * 1024 * 1024))
    fake.write_bytes(b"no video at all\n" * 131072)  # random bytes are now and then a format that nobody accepts
    async with started.connected() as connected, as_caller(connected, "alice") as cell:
        folder = await asyncio.to_thread(build, name, tmp_path, cell.url)
        permits: list[dict[str, Any]] = [{"content_types": ["image/*"]}, {}]
        async with served(cell, listener, folder, permits), chromium(tmp_path / "profile") as browser:
            page = await browser.page(390, 844)
            await page.open(
                origin_of(listener), "document.readyState === 'complete' && document.querySelector('input')"
            )
            await choose(page, "input", film)
            (refused,) = await rows(page, lambda found: bool(found and found[0]["retry"]))
            assert "permit does not allow" in refused["state"], refused
            await page.run("document.querySelector('li button').click()")
            (sent,) = await rows(page, lambda found: found[0]["state"].startswith("Ready: "))
            assert (sent["name"], sent["sent"], sent["retry"]) == (film.name, 1, False)
            await choose(page, "input", fake)
            await rows(page, lambda found: len(found) == 2 and "media" in found[1]["state"])
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")
            assert [error for error in page.errors if "Failed to load resource" not in error] == []
            await page.picture(tmp_path / "narrow.png")
            await page.send(
                "Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False
            )
            await page.picture(tmp_path / "wide.png")
        content = await cell.content(sent["state"].removeprefix("Ready: "))
        assert content["filename"] == film.name
        assert await cell.read(content["object"]["key"]) == film.read_bytes()


def test_examples_are_short() -> None:
    for name, files in _FILES.items():
        for file in files:
            assert source_of(name, file).count("\n") < _MOST_LINES, file
