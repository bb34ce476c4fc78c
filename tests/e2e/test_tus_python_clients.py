"""aiotus and tuspy as docs/tus.md shows them, each in a process of its own: chunks of any size, and interruptions."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.tus_interruptions import (
    Interruption,
    Sending,
    every_interruption,
    little_room,
    through,
    two_gateways,
    with_patience,
)
from tests.harness.keys import CLIENT, as_caller, make_key
from tests.harness.running import CellProcesses
from tests.harness.shared_stack import Servers
from tests.harness.snippets import filled_in, snippet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_ENDPOINT = "https://upload.example/files/"
_CHUNK = "8 * 1024 * 1024"
_PACKAGES = ("aiotus", "tusclient")


@pytest.fixture(scope="module")
def started(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    yield from two_gateways(servers, tmp_path_factory.mktemp("tus"))


@pytest.fixture(scope="module")
def crowded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    yield from little_room(servers, tmp_path_factory.mktemp("crowded"))


async def run(program: Path, sending: Sending, key: str) -> None:
    """Run a program of the document with a file; it prints the id of the content. Raises AssertionError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(sending.file)),
        env={**os.environ, "SLUICE_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    assert output.decode().splitlines()[-1] == f"content {sending.relay.upload_id}"


def programs(package: str, directory: Path, key: str) -> Callable[[Sequence[Sending]], Awaitable[None]]:
    """Runs the program of the document for each file, all at once."""
    lines = snippet("tus.md", "python", package)

    async def send(sendings: Sequence[Sending]) -> None:
        async with asyncio.TaskGroup() as clients:
            for sending in sendings:
                program = directory / f"{sending.chunk_bytes}.py"
                program.write_text(filled_in(lines, {_ENDPOINT: sending.endpoint, _CHUNK: str(sending.chunk_bytes)}))
                clients.create_task(run(program, sending, key))

    return send


@every_interruption
@pytest.mark.parametrize("package", _PACKAGES)
async def test_python_clients(started: CellProcesses, tmp_path: Path, package: str, interruption: Interruption) -> None:
    _, key = await make_key(started.settings, "alice", *CLIENT)
    async with started.connected() as connected, as_caller(connected, "alice") as cell:
        await through(interruption, cell, tmp_path, programs(package, tmp_path, key))


@pytest.mark.parametrize("package", _PACKAGES)
async def test_python_clients_wait_for_room(crowded: CellProcesses, tmp_path: Path, package: str) -> None:
    _, key = await make_key(crowded.settings, "alice", *CLIENT)
    async with crowded.connected() as connected, as_caller(connected, "alice") as cell:
        await with_patience(cell, tmp_path, programs(package, tmp_path, key))
