"""`sluice up` as a process, and shells that use the environment file that it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.cli.processes import import_path
from deploy.embedded.process_tree import descendants, is_alive

_DEADLINE_SECONDS = 60


class Up:
    """One run of `sluice up`, in its own directory."""

    def __init__(self, directory: Path, *arguments: str, **variables: str) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "up", "--workers", "all-in-one", *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": import_path(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, text: str) -> str:
        """The first line that contains `text`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was never printed: {self.lines}")

    def shown(self, name: str) -> str:
        """The text that the banner shows for `name`; the banner must have been printed."""
        found = re.search(rf"^  {re.escape(name)} +(.+)$", "".join(self.lines), re.MULTILINE)
        assert found, self.lines
        return found[1]

    @property
    def environment_file(self) -> Path:
        """The file that the banner tells the user to source."""
        dot, path = shlex.split(self.shown("environment"))
        assert dot == "."
        return Path(path)

    def shell(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a shell that has sourced the environment file, and has nothing of Sluice's else."""
        return subprocess.run(
            self._shell(command), env=_bare(variables), capture_output=True, text=True, check=False, timeout=120
        )

    def start_shell(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """As `shell`, in the background."""
        return subprocess.Popen(self._shell(command), env=_bare(variables), stdout=subprocess.PIPE, text=True)

    def _shell(self, command: str) -> list[str]:
        return ["sh", "-c", f"{self.shown('environment')}\n{command}"]

    def family(self) -> list[psutil.Process]:
        return descendants(self.process.pid)

    def end(self) -> int:
        rest, _ = self.process.communicate(timeout=_DEADLINE_SECONDS)
        self.lines += rest.splitlines()
        return self.process.returncode

    def close(self) -> None:
        """Send SIGKILL if it still runs."""
        with self.process:
            self.process.kill()


def wait_until_gone(family: list[psutil.Process]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while alive := [member for member in family if is_alive(member)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        os.sched_yield()


def _bare(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    return {**kept, "PYTHONPATH": import_path(), **variables}
