"""Prints what is appended to the files of a log directory, each line under its file's name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

_POLL_SECONDS = 0.2


class LogFollower:
    """Follows DIRECTORY/*.log from their beginning; files that appear later are followed too."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.print_new()
            await asyncio.sleep(_POLL_SECONDS)

    def print_new(self) -> None:
        """What has been appended since the last call, whole lines only."""
        for path in sorted(self._directory.glob("*.log")):
            with path.open("rb") as log:
                log.seek(self._read.get(path, 0))
                text, newline, _ = log.read().rpartition(b"\n")
            self._read[path] = self._read.get(path, 0) + len(text) + len(newline)
            for line in text.decode("utf-8", "replace").splitlines():
                click.echo(f"{path.stem:>18} | {line}", err=True)
