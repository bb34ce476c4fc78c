"""Ways to hold up one worker type in the middle of its work, through a dependency of its stage."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from deploy.embedded.process import ChildProcess
from tests.harness.cell import Cell, eventually
from tests.harness.disks import FaultyDisk
from tests.harness.shared_stack import Servers

T = TypeVar("T")

_TOOLS = {"probe": "ffprobe", "thumbnail": "ffmpeg"}
_READ_SECONDS = 3.0


def slow_tools(directory: Path, servers: Servers) -> dict[str, Any]:
    """Settings of a cell whose ffprobe and ffmpeg do not end while they are `held_up`."""
    found: dict[str, Any] = {}
    for tool in _TOOLS.values():
        script, executable = directory / tool, servers.environment()[f"SLUICE_{tool.upper()}"]
        flag = _flag(directory, tool)
        script.write_text(f'#!/bin/sh\nwhile [ -e "{flag}" ]; do sleep 0.1; done\nexec "{executable}" "$@"\n')
        script.chmod(0o755)
        found[tool] = str(script)
    return found


@asynccontextmanager
async def held_up(cell: Cell, kind: str, directory: Path, disk: FaultyDisk | None = None) -> AsyncIterator[None]:
    """Stages of this worker type do not end within the block; those that read the `disk` take seconds for each read.

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


async def killed_at_work(
    children: Iterable[ChildProcess], runs: Callable[[int], Awaitable[set[T]]], seconds: float = 90
) -> set[T]:
    """Kill the first of these processes that is at work, by SIGKILL; what it was running.

    `runs` says what a process is running, by its id. The process is paused before it is asked about for good, so that
    it is killed in the middle of its work and never after it.
    """
    found: set[T] = set()

    async def killed() -> bool:
        for child in children:
            if child.pid is None or not await runs(child.pid):
                continue
            os.kill(child.pid, signal.SIGSTOP)
            found.update(await runs(child.pid))
            if found:
                child.stop(signal.SIGKILL)
                return True
            os.kill(child.pid, signal.SIGCONT)
        return False

    await eventually(killed, seconds, lambda: f"one of {[child.name for child in children]} to be at work")
    return found


def _flag(directory: Path, tool: str) -> Path:
    return directory / f"{tool}-is-slow"
