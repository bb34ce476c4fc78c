"""@uppy/tus in Chromium as docs/tus.md shows it, on a page of another origin: chunks of any size, and interruptions."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.test_docs_guide import listening_app
from tests.e2e.tus_interruptions import (
    INTERRUPTIONS,
    Interruption,
    Sending,
    little_room,
    through,
    two_gateways,
    with_patience,
)
from tests.harness.cell import Cell
from tests.harness.chromium import Page, chromium
from tests.harness.javascript import MODULES, require_javascript
from tests.harness.keys import as_caller
from tests.harness.running import CellProcesses
from tests.harness.shared_stack import Servers
from tests.harness.snippets import filled_in, snippet

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(180)]

_DOCUMENT = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'
_AROUND = """
async function send({ endpoint, chunkSize, name, type }, permit) {
  const printed = [];
  const print = (...words) => printed.push(words.join(" "));
  const console = { log: print, error: print };
  %s
  uppy.addFile({ name, type, data: await (await fetch(name)).blob() });
  await uppy.upload();
  return printed;
}
const { permit, jobs } = await (await fetch("/jobs")).json();
globalThis.printed = await Promise.all(jobs.map((job) => send(job, permit)));
"""
_AGAIN = Interruption("page-loaded-again", lambda cell, relays: None)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The page's script: the lines of the document within a function, and Uppy."""
    require_javascript()
    folder = tmp_path_factory.mktemp("bundle")
    lines = snippet("tus.md", "js", "@uppy/tus").splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    values = {'"https://upload.example/files/"': "endpoint", "64 * 1024 * 1024": "chunkSize"}
    rest = filled_in("\n".join(line for line in lines if line not in imports), values)
    (folder / "entry.js").write_text("\n".join(imports) + _AROUND % rest)
    command = [str(MODULES / ".bin" / "esbuild"), "entry.js", "--bundle", "--format=esm", "--outfile=page.js"]
    environment = {**os.environ, "NODE_PATH": str(MODULES)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return (folder / "page.js").read_bytes()


@pytest.fixture(scope="module")
def started(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    yield from two_gateways(servers, tmp_path_factory.mktemp("uppy"))


@pytest.fixture(scope="module")
def crowded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    yield from little_room(servers, tmp_path_factory.mktemp("crowded"))


def page_app(script: bytes, sendings: Sequence[Sending], permit: str) -> web.Application:
    """The page's own origin."""
    jobs = [
        {"endpoint": each.endpoint, "chunkSize": each.chunk_bytes, "name": each.name, "type": each.content_type}
        for each in sendings
    ]

    async def document(_: web.Request) -> web.Response:
        return web.Response(text=_DOCUMENT, content_type="text/html")

    async def code(_: web.Request) -> web.Response:
        return web.Response(body=script, content_type="text/javascript")

    async def list_jobs(_: web.Request) -> web.Response:
        return web.json_response({"permit": permit, "jobs": jobs})

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse({each.name: each.file for each in sendings}[request.match_info["name"]])

    app = web.Application()
    app.add_routes([web.get("/", document), web.get("/page.js", code), web.get("/jobs", list_jobs)])
    app.add_routes([web.get("/{name}", file)])
    return app


async def load_again(page: Page, origin: str, sendings: Sequence[Sending]) -> None:
    """Once every file is on its way, leave the page and open it anew."""
    for sending in sendings:
        await sending.relay.held.wait()
    await page.open("about:blank", "location.href === 'about:blank'")
    for sending in sendings:
        sending.relay.break_off()
    await page.open(origin)


async def uppy(
    script: bytes, profile: Path, cell: Cell, *, again: bool = False
) -> Callable[[Sequence[Sending]], Awaitable[None]]:
    """Sends files with Uppy, all at once; `again`: the page is loaded again meanwhile."""
    _, answer, _ = await cell.call("POST", "/v1/permits", json={"count": 4}, expect=201)

    async def send(sendings: Sequence[Sending]) -> None:
        app = page_app(script, sendings, answer["data"]["token"])
        async with listening_app(app) as origin, chromium(profile) as browser:
            page = await browser.page(1440, 1000)
            await page.open(origin)
            if again:
                await load_again(page, origin, sendings)
            printed: Any = None
            while printed is None:
                await asyncio.sleep(0.1)
                printed = json.loads(await page.run("JSON.stringify(globalThis.printed ?? null)"))
        assert printed == [[f"content {each.relay.upload_id}"] for each in sendings]

    return send


@pytest.mark.parametrize("interruption", [*INTERRUPTIONS, _AGAIN], ids=str)
async def test_uppy_with_tus(started: CellProcesses, script: bytes, tmp_path: Path, interruption: Interruption) -> None:
    async with started.connected() as connected, as_caller(connected, "alice") as cell:
        send = await uppy(script, tmp_path / "profile", cell, again=interruption is _AGAIN)
        await through(interruption, cell, tmp_path, send)


async def test_uppy_waits_for_room(crowded: CellProcesses, script: bytes, tmp_path: Path) -> None:
    async with crowded.connected() as connected, as_caller(connected, "alice") as cell:
        await with_patience(cell, tmp_path, await uppy(script, tmp_path / "profile", cell))
