"""The real @uppy/aws-s3 in Chromium: a page of another origin sends a file to Swift and to S3, without a header of its
own. The gateway is killed and started again meanwhile, and the page is loaded again; no part is sent twice."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deploy.embedded.process import run_all
from pipeline.core.access import Scope
from tests.e2e.companion_client import PART_BYTES
from tests.e2e.test_browser import PATIENCE_SECONDS, browser
from tests.e2e.test_companion import film
from tests.harness.cell import Cell
from tests.harness.javascript import require_javascript
from tests.harness.keys import WITH_KEYS, as_caller
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

_PAGE = '<!doctype html><meta charset="utf-8"><title>Uppy</title><script type="module" src="/page.js"></script>'


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The page's script, with Uppy in it."""
    folder = require_javascript()
    bundle = tmp_path_factory.mktemp("bundle") / "page.js"
    subprocess.run(
        ["node_modules/.bin/esbuild", "companion/page.js", "--bundle", "--format=esm", f"--outfile={bundle}"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return bundle.read_bytes()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The socket of the page's own origin."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


@pytest.fixture(params=["swift", "s3"])
def started(
    request: pytest.FixtureRequest, servers: Servers, listener: socket.socket, tmp_path: Path
) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = {
        **WITH_KEYS,
        "store": request.param,
        "swift_tempurl_key": "a-key-of-the-test",
        "cors_origins": _origin(listener),
    }
    with cell_processes(servers, tmp_path, **settings) as running:
        yield running


def _origin(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def page_server(
    cell: Cell, listener: socket.socket, files: dict[str, tuple[bytes, str]]
) -> AsyncIterator[asyncio.Future[dict[str, Any]]]:
    """The page's own origin: its files, what it asks to be done to the gateway, and what it tells."""
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    gateway = cell.processes.child("gateway")

    async def file(request: web.Request) -> web.Response:
        body, content_type = files[request.path]
        return web.Response(body=body, content_type=content_type)

    async def do(request: web.Request) -> web.Response:
        if request.match_info["what"] == "kill":
            await asyncio.to_thread(gateway.stop, signal.SIGKILL)
        else:
            await asyncio.to_thread(run_all, [gateway.bring_up()])
        return web.Response()

    async def tell(request: web.Request) -> web.Response:
        told.set_result(json.loads(await request.text()))
        return web.Response()

    app = web.Application()
    app.add_routes([*(web.get(path, file) for path in files), web.post("/do/{what}", do), web.post("/told", tell)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield told
    finally:
        await runner.cleanup()


async def test_uppy_sends_a_file_through_interruptions(
    started: CellProcesses, listener: socket.socket, script: bytes, tmp_path: Path
) -> None:
    data = film(3 * PART_BYTES + 4321)
    async with started.connected() as connected, as_caller(connected, "alice", Scope.UPLOAD, Scope.READ) as cell:
        _, permit, _ = await cell.call("POST", "/v1/permits", json={"max_size": len(data)}, expect=201)
        options = json.dumps({"endpoint": f"{cell.url}/uppy/{permit['data']['token']}"})
        files = {
            "/": (_PAGE.encode(), "text/html"),
            "/page.js": (script, "text/javascript"),
            "/options": (options.encode(), "application/json"),
            "/sample": (data, "video/mp4"),
        }
        async with page_server(cell, listener, files) as told, browser(tmp_path / "profile", _origin(listener)):
            found = await asyncio.wait_for(told, PATIENCE_SECONDS)
        assert "failed" not in found, found
        before = found["before"]
        assert before["parts"] == [1, 2], "the gateway died after part 1"
        assert len(before["errors"]) == 1, before
        assert (found["parts"], found["errors"], found["loads"]) == ([3, 4], [], 2)
        name = found["response"]["body"]["key"]
        assert found["response"]["uploadURL"] == f"{cell.url}/v1/uploads/{name}"
        cell.uploads.append(name)
        await cell.until(name, "ready")
        content = await cell.content(name)
        assert (content["filename"], content["owner"], content["kind"]) == ("from Uppy.mp4", "alice", "video")
        assert (content["metadata"], content["object"]["segment_count"]) == ({"album": "Ferien"}, 4)
        assert await cell.read(content["object"]["key"]) == data
        log = await asyncio.to_thread(cell.processes.log_path("gateway").read_text)
        assert "/uppy/[token]/s3/multipart" in log
        assert permit["data"]["token"] not in log
        await cell.until_clean()
