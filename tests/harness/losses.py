"""Losses of Redis: everything, or its last seconds."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

from deploy.embedded import EmbeddedStack
from tests.harness.cell import Cell


async def recover(cell: Cell) -> list[dict[str, Any]]:
    """Run `sluice recover --json`; its report on each upload."""
    command = [sys.executable, "-m", "deploy.cli", "recover", "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env={**cell.environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()][:-1]


class LastSeconds:
    """Puts Redis back to an earlier moment, as a fail-over to a replica that lags behind does."""

    def __init__(self, servers: EmbeddedStack, directory: Path) -> None:
        self._servers = servers
        self._kept = directory / "behind"
        self._aof = ""

    async def begin(self, cell: Cell) -> None:
        """Remember this moment: `lose` discards every later write."""
        self._aof = (await cell.redis.config_get("dir"))["dir"]
        await cell.redis.config_set("appendfsync", "always")
        copytree(self._aof, self._kept)

    def lose(self) -> None:
        self._servers.stop_process("redis", signal.SIGKILL)
        rmtree(self._aof)
        copytree(self._kept, self._aof)
        self._servers.start_process("redis")
