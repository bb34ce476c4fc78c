"""The health check of the image, against real HTTP servers that stand for a live, a failing and a stopped process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from deploy.cli.processes import import_path
from deploy.container.healthcheck import is_alive
from deploy.embedded.ports import LOOPBACK, PortPool

pytestmark = pytest.mark.integration


async def _serve(status: int) -> tuple[web.AppRunner, int]:
    async def respond(request: web.Request) -> web.Response:
        assert request.path == "/healthz"
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/healthz", respond)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    return runner, int(runner.addresses[0][1])


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("setting", ["SLUICE_PORT", "SLUICE_METRICS_PORT"])
@pytest.mark.parametrize("host", ["0.0.0.0", LOOPBACK])  # noqa: S104  # a setting; what listens is on loopback
async def test_it_asks_the_port_of_a_gateway_or_worker(status: int, setting: str, host: str) -> None:
    runner, port = await _serve(status)
    try:
        assert await asyncio.to_thread(is_alive, {"SLUICE_HOST": host, setting: str(port)}) == (status == 200)
    finally:
        await runner.cleanup()


def test_a_stopped_process_is_reported(tmp_path: Path) -> None:
    ports = PortPool()
    try:
        environment = {"PATH": os.defpath, "PYTHONPATH": import_path(), "SLUICE_PORT": str(ports.port("nobody"))}
        command = [sys.executable, "-m", "deploy.container.healthcheck"]
        checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (checked.returncode, checked.stderr) == (1, "no response from /healthz\n")
    finally:
        ports.release_all()
