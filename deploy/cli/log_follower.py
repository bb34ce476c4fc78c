"""Prints lines as they are appended to the files of a log directory, each with its file's name in front."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

_POLL_SECONDS = 0.2


class LogFollower:
    """Follows DIRECTORY/*.log from the beginning of each file, including files that appear later."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}

    async def run(self) -> None:
        """Prints new lines until it is cancelled."""
        while True:
            self.print_new()
            await asyncio.sleep(_POLL_SECONDS)

    def print_new(self) -> None:
        """Prints what was appended since the last call, whole lines only."""
        for path in sorted(self._directory.glob("*.log")):
            with path.open("rb") as log:
                log.seek(self._read.get(path, 0))
                text, newline, _ = log.read().rpartition(b"\n")
            self._read[path] = self._read.get(path, 0) + len(text) + len(newline)
            for line in text.decode("utf-8", "replace").splitlines():
                click.echo(f"{path.stem:>18} | {line}", err=True)
