"""The guide of /docs, exactly as the page shows it: bash runs its lines in their order, against a real cell."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.harness.cell import Cell
from tests.harness.chromium import Page, chromium
from tests.harness.keys import CLIENT, WITH_KEYS, as_caller, make_key
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.system_packages import require_programs

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

SEGMENT_BYTES = 10 * 1024 * 1024  # what the guide names, the default


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    directory = tmp_path_factory.mktemp("guide")
    with cell_processes(
        servers,
        directory,
        segment_bytes=SEGMENT_BYTES,
        auth="required",
        signing_secret=WITH_KEYS["signing_secret"],
        cors_origins="*",
    ) as started:
        yield started


@pytest.fixture
async def cell(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected, as_caller(connected, "alice") as cell:
        yield cell


async def blocks(cell: Cell, key: str, profile: Path, section: str = "#guide") -> dict[str, str]:
    """The lines of the page by the id of their block, with this key in place of the word that stands for one."""
    require_programs(["chromium", "curl", "bash"], ["chromium", "curl", "bash"])
    address = cell.url.replace("http://", f"http://any:{key}@")
    async with chromium(profile) as browser:
        page = await browser.page(1440, 1000)
        await page.open(f"{address}/docs", "document.documentElement?.dataset.drawn")
        found: dict[str, str] = await page.run(
            f"Object.fromEntries([...document.querySelectorAll('{section} code[id]')]"
            ".map((code) => [code.id, code.textContent]))"
        )
        assert page.errors == []
    return {name: text.replace("YOUR_API_KEY", key) for name, text in found.items()}


async def run(lines: list[str], directory: Path) -> str:
    """What bash prints. `-e` ends it with the first line that fails."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", "\n".join(lines)),
        env={"PATH": os.environ["PATH"]},
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    text = output.decode()
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize(("send", "size"), [("guide-send", 0), ("guide-send-all", 2 * SEGMENT_BYTES + 5)])
async def test_the_guide_uploads_and_downloads_a_file(cell: Cell, tmp_path: Path, send: str, size: int) -> None:
    _, key = await make_key(cell.settings, "alice", *CLIENT)
    film = sample("mp4").read_bytes()
    if size > len(film):  # a box that players skip
        film += struct.pack(">I4s", size - len(film), b"free") + bytes(size - len(film) - 8)
    (tmp_path / "film.mp4").write_bytes(film)
    found = await blocks(cell, key, tmp_path / "profile")
    names = ("guide-variables", "guide-create", send, "guide-follow", "guide-download")
    output = await run([found[name] for name in names], tmp_path)
    assert "event: end" in output, output
    assert '{"status":"ready"}' in output, output
    assert (tmp_path / "copy.mp4").read_bytes() == film
    assert not list(tmp_path.glob("segment-*"))


async def test_the_lines_for_a_page_upload_a_file(cell: Cell, tmp_path: Path) -> None:
    """A page of another origin that has nothing but the lines of the guide, and a permit."""
    _, key = await make_key(cell.settings, "alice", *CLIENT)
    film = tmp_path / "film.mp4"
    film.write_bytes(sample("mp4").read_bytes())
    _, answer, _ = await cell.call("POST", "/v1/permits", json={}, expect=201)
    found = await blocks(cell, key, tmp_path / "profile", "#guide-module")
    lines = found["guide-module-lines"]
    assert lines.count("A_PERMIT") == 1
    document = '<!doctype html><link rel="icon" href="data:,">' + lines.replace("A_PERMIT", answer["data"]["token"])

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=document, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    async with listening_app(app) as origin, chromium(tmp_path / "another") as browser:
        page = await browser.page(1440, 1000)
        await page.open(origin)
        await choose(page, "#file", film)
        await page.until("document.title")
        assert page.errors == []
        name = await page.run("document.title")
        assert await page.run("bar.value") == 1
    assert (await cell.content(name))["object"]["size_bytes"] == film.stat().st_size


async def choose(page: Page, selector: str, file: Path) -> None:
    """Choose a file in an input."""
    root = (await page.send("DOM.getDocument"))["root"]["nodeId"]
    node = (await page.send("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
    await page.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


@asynccontextmanager
async def listening_app(app: web.Application) -> AsyncIterator[str]:
    """The app's own origin, until the end of the block."""
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()
