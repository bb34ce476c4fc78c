"""Gateways behind the real nginx restart one after another while `sluice upload` sends through it: no upload fails."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import import_path
from deploy.embedded.http import answers
from deploy.embedded.ports import LOOPBACK, ReservedPort
from deploy.embedded.process import ChildProcess
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (apt-get install nginx)"),
]

_GATEWAYS = 3
_CLIENTS = 3
_NGINX = """
daemon off;
worker_processes 1;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream gateways {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream error timeout;
    }}
  }}
}}
"""


def _gateways(cell: Cell, directory: Path, ports: list[int]) -> list[ChildProcess]:
    """More gateways of the cell, each on a port of its own."""
    found = []
    for number, port in enumerate(ports, 1):
        own = {"SLUICE_PORT": str(port), "SLUICE_HOST": LOOPBACK, "PYTHONPATH": import_path(), "PYTHONUNBUFFERED": "1"}
        found.append(
            ChildProcess(
                name=f"gateway-{number}",
                command=[sys.executable, "-m", "deploy.cli", "gateway"],
                log_path=directory / f"gateway-{number}.log",
                environment={**os.environ, **cell.environment, **own},
                is_ready=lambda url=f"http://{LOOPBACK}:{port}/readyz": answers(url),  # type: ignore[misc]
                stop_seconds=60,
            )
        )
    return found


@contextmanager
def _nginx(directory: Path, port: int, behind: list[int]) -> Iterator[None]:
    directory.mkdir()
    servers = " ".join(f"server {LOOPBACK}:{number} max_fails=1 fail_timeout=1s;" for number in behind)
    user = "user root;" if os.geteuid() == 0 else ""
    path = directory / "nginx.conf"
    path.write_text(_NGINX.format(directory=directory, servers=servers, port=port, user=user))
    process = subprocess.Popen(["nginx", "-c", path, "-e", directory / "error.log"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)


async def _until_ready(gateway: ChildProcess) -> None:
    async def ready() -> bool:
        assert gateway.pid is not None, gateway.log_path.read_text()[-2000:]
        return await asyncio.to_thread(gateway.is_ready)

    await eventually(ready, 60, lambda: f"{gateway.name} to be ready", every_seconds=0.1)


async def _restarted(gateway: ChildProcess, number: signal.Signals) -> None:
    gateway.ask_to_stop(number)

    async def ended() -> bool:
        return gateway.pid is None

    await eventually(ended, 60, lambda: f"{gateway.name} to end")
    gateway.stop()
    assert gateway.exit_status == (0 if number == signal.SIGTERM else -number)
    gateway.start()
    await _until_ready(gateway)


async def _upload(url: str, file: Path, state: Path) -> list[dict[str, Any]]:
    """Run `sluice upload`; its events. Fails when the command does."""
    environment = {**os.environ, "PYTHONPATH": import_path(), "XDG_STATE_HOME": str(state), "SLUICE_SERVER": url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "upload", str(file), "--json", "--concurrency", "2"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode() + output.decode()[-2000:]
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_gateways_are_restarted_one_after_another_and_no_upload_fails(
    servers: Servers, tmp_path: Path, number: signal.Signals
) -> None:
    video = sample("mp4").read_bytes().ljust(64 * SEGMENT_BYTES, b"\0")
    with ExitStack() as exits:
        reserved = [ReservedPort() for _ in range(_GATEWAYS + 1)]
        for port in reserved:
            exits.callback(port.release)
        public, *ports = (port.number for port in reserved)
        url = f"http://{LOOPBACK}:{public}"
        async with running_cell(servers, tmp_path / "cell", store="filesystem") as cell:
            gateways = _gateways(cell, tmp_path, ports)
            for gateway in gateways:
                gateway.start()
                exits.callback(gateway.stop)
            exits.enter_context(_nginx(tmp_path / "nginx", public, ports))
            for gateway in gateways:
                await _until_ready(gateway)
            rolled = asyncio.Event()
            ends: list[dict[str, Any]] = []

            async def client(index: int) -> None:
                file = tmp_path / f"film-{index}.mp4"
                file.write_bytes(video)
                while not rolled.is_set():
                    seen = await _upload(url, file, tmp_path / f"state-{index}")
                    ends.append(seen[-1])
                    cell.uploads.append(seen[-1]["upload_id"])

            async with asyncio.TaskGroup() as group:
                for index in range(_CLIENTS):
                    group.create_task(client(index))
                for gateway in gateways:
                    await _restarted(gateway, number)
                rolled.set()
            assert len(ends) >= _CLIENTS
            assert {end["status"] for end in ends} == {"ready"}
            for end in ends:
                assert await cell.read(end["content"]["object"]["key"]) == video
            async with cell.http.get(f"{url}/v1/uploads?limit=100") as response:
                listed = (await response.json())["data"]["items"]
            assert {upload["id"] for upload in listed} == set(cell.uploads), "no upload was created twice"
            await cell.until_clean()
            for gateway in gateways:
                gateway.stop()
