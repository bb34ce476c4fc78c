"""A real browser: a page of another origin uploads a file through CORS, and /docs renders.

Only a browser can show that the preflight permits the API's headers, that a page can read the exposed headers, that
EventSource works across origins, and that the content security policy of /docs permits its own script and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deploy.cli.processes import ALL_IN_ONE, SluiceProcesses
from deploy.embedded.layout import Layout
from gateway.app import ALL_ROUTES
from pipeline.core.access import Scope
from pipeline.core.error_codes import CATALOGUE
from pipeline.settings import Settings
from tests.harness.keys import make_key
from tests.harness.media_samples import sample
from tests.harness.shared_stack import Servers
from tests.harness.system_packages import require_programs

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
]

PAGES = Path(__file__).parent / "pages"
SEGMENT_BYTES = 4096
PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Site:
    """A running cell, and the socket of the one origin whose pages may call it."""

    gateway: str
    origin: str
    listener: socket.socket


def cell_environment(servers: Servers, directory: Path) -> dict[str, str]:
    name = f"t{secrets.token_hex(4)}"
    return {
        **servers.environment(),
        "SLUICE_REDIS_NAMESPACE": name,
        "SLUICE_VOLUME": name,
        "SLUICE_SWIFT_CONTAINER": name,
        "SLUICE_TEMP_DIR": str(directory / "temp"),
        "SLUICE_TEMP_HEADROOM_BYTES": "0",
        "SLUICE_SEGMENT_BYTES": str(SEGMENT_BYTES),
    }


@contextmanager
def running(directory: Path, environment: Mapping[str, str]) -> Iterator[SluiceProcesses]:
    Layout(directory).make()
    processes = SluiceProcesses(directory, environment, workers=ALL_IN_ONE)
    processes.start()
    try:
        yield processes
    finally:
        processes.stop()


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("browser")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = cell_environment(servers, directory)
        environment["SLUICE_CORS_ORIGINS"] = f"{origin}/, https://other.example"
        with running(directory, environment) as processes:
            yield Site(processes.url, origin, listener)


@asynccontextmanager
async def browser(profile: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Chromium with a profile of its own, until the end of the block. It sends requests to loopback only."""
    require_programs(["chromium"], ["chromium"])
    process = await asyncio.create_subprocess_exec(
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
        f"--user-data-dir={profile}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        await process.wait()


@asynccontextmanager
async def page_server(site: Site, body: bytes) -> AsyncIterator[asyncio.Future[dict[str, Any]]]:
    """The page's own origin: serves the page and the file to upload. The future gets the result of the page."""
    reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGES / "upload.html")

    async def file(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="video/mp4")

    async def tell(request: web.Request) -> web.Response:
        reported.set_result(json.loads(await request.text()))
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/sample", file), web.post("/told", tell)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, site.listener).start()
    try:
        yield reported
    finally:
        await runner.cleanup()


async def test_a_page_of_another_origin_uploads_a_file(site: Site, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes()
    assert len(video) > SEGMENT_BYTES
    async with page_server(site, video) as reported, browser(tmp_path, f"{site.origin}/?gateway={site.gateway}"):
        result = await asyncio.wait_for(reported, PATIENCE_SECONDS)
    assert "error" not in result, result
    assert result["refused"] == "UPLOAD_NOT_FOUND"
    assert result["segments"] == -(-len(video) // SEGMENT_BYTES) > 1
    assert result["statuses"] == [404, 201, *[200] * (result["segments"] + 2)]
    assert result["headers"]["Location"].startswith(f"{site.gateway}/v1/uploads/")
    assert result["headers"]["X-Request-Id"]
    assert (result["ended"], result["events"][-1]) == ("ready", "ready")
    assert result["content"]["kind"] == "video"
    assert result["content"]["size"] == len(video)
    assert result["content"]["filename"] == "from a page.mp4"
    assert result["content"]["type"] == 'video/mp4;codecs="avc1,mp4a"'
    assert result["part"] == [206, f"bytes 0-9/{len(video)}", 10]
    assert result["same"] == [200, True]


async def dom_of(url: str, profile: Path) -> str:
    """The document that Chromium shows at `url`, once its scripts have run."""
    async with browser(profile, "--virtual-time-budget=20000", "--dump-dom", url) as process:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    return output.decode()


async def test_docs_render_with_a_key_as_the_password(servers: Servers, tmp_path: Path) -> None:
    environment = cell_environment(servers, tmp_path) | {
        "SLUICE_AUTH": "required",
        "SLUICE_SIGNING_SECRET": "0123456789abcdef" * 4,
    }
    values: dict[str, Any] = {name.removeprefix("SLUICE_").lower(): text for name, text in environment.items()}
    with running(tmp_path, environment) as processes:
        _, key = await make_key(Settings(**values), "alice", Scope.READ)
        address = processes.url.removeprefix("http://")
        dom = await dom_of(f"http://any:{key}@{address}/docs", tmp_path / "profile")
    assert 'data-drawn="yes"' in dom


async def test_docs_render(site: Site, tmp_path: Path) -> None:
    dom = await dom_of(f"{site.gateway}/docs", tmp_path)
    assert 'data-drawn="yes"' in dom
    for route in ALL_ROUTES:
        assert f'<span class="path">{route.path}</span>' in dom
    for code in CATALOGUE:
        assert f'id="{code}"' in dom
