"""Runs a client as a command, and measures its time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO


def run_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    read: Callable[[IO[bytes]], object],
    directory: Path | None = None,
) -> tuple[float, float]:
    """Run a command in `directory` while `read` reads its output. Returns its duration and CPU time in seconds. Raises
    RuntimeError if it fails."""
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=directory) as process:
        assert process.stdout is not None
        read(process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} exited with status {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime
