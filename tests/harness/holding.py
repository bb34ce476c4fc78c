"""Ways to hold one type of worker up in the middle of its work, by what it stands on, so that a test can come to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from tests.harness.cell import Cell
from tests.harness.disks import FaultyDisk
from tests.harness.shared_stack import Servers

_TOOLS = {"probe": "ffprobe", "thumbnail": "ffmpeg"}
_READ_SECONDS = 3.0


def slow_tools(directory: Path, servers: Servers) -> dict[str, str]:
    """ffprobe and ffmpeg that come to no end while `held_up` says so: settings of a cell."""
    found = {}
    for tool in _TOOLS.values():
        script, executable = directory / tool, servers.environment()[f"SLUICE_{tool.upper()}"]
        flag = _flag(directory, tool)
        script.write_text(f'#!/bin/sh\nwhile [ -e "{flag}" ]; do sleep 0.1; done\nexec "{executable}" "$@"\n')
        script.chmod(0o755)
        found[tool] = str(script)
    return found


@asynccontextmanager
async def held_up(cell: Cell, kind: str, directory: Path, disk: FaultyDisk | None = None) -> AsyncIterator[None]:
    """Workers of this type come to no end in this block; where they read a `disk`, they take long.

    `directory` is that of `slow_tools`.
    """
    if kind == "persist":
        connection = await asyncpg.connect(cell.settings.database_url.get_secret_value())
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE contents IN ACCESS EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()
    elif kind in _TOOLS:
        flag = _flag(directory, _TOOLS[kind])
        flag.touch()
        try:
            yield
        finally:
            flag.unlink()
    else:
        assert disk is not None
        disk.delay("read", _READ_SECONDS)
        try:
            yield
        finally:
            disk.heal()


def _flag(directory: Path, tool: str) -> Path:
    return directory / f"{tool}-is-slow"
