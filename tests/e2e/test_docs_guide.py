"""The guide of /docs, exactly as the page shows it: bash runs its lines in their order, against a real cell."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.harness.cell import Cell
from tests.harness.chromium import chromium
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
    with cell_processes(servers, directory, segment_bytes=SEGMENT_BYTES, **WITH_KEYS) as started:
        yield started


@pytest.fixture
async def cell(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected, as_caller(connected, "alice") as cell:
        yield cell


async def blocks(cell: Cell, key: str, profile: Path) -> dict[str, str]:
    """The lines of the page by the id of their block, with this key in place of the word that stands for one."""
    require_programs(["chromium", "curl", "bash"], ["chromium", "curl", "bash"])
    address = cell.url.replace("http://", f"http://any:{key}@")
    async with chromium(profile) as browser:
        page = await browser.page(1440, 1000)
        await page.open(f"{address}/docs", "document.documentElement?.dataset.drawn")
        found: dict[str, str] = await page.run(
            "Object.fromEntries([...document.querySelectorAll('#guide code[id]')]"
            ".map((code) => [code.id, code.textContent]))"
        )
        assert page.errors == []
    assert found["guide-variables"].count("YOUR_API_KEY") == 1
    return {**found, "guide-variables": found["guide-variables"].replace("YOUR_API_KEY", key)}


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
