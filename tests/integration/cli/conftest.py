"""One stack with a gateway and a worker for all of these tests. Segments are small, so that small files have many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import SluiceProcesses, import_path
from deploy.embedded.ffmpeg import ffmpeg_path
from pipeline.core.windows import on_disk_bytes
from tests.harness.running import cell_processes
from tests.harness.shared_stack import Servers
from tests.programs.bench.samples import make_large_video

SEGMENT_BYTES = 256 * 1024
SEGMENTS = 96
FILM_BYTES = SEGMENTS * SEGMENT_BYTES - 1000
JOURNAL_BYTES = 64 * 1024  # more than the journal of one film
BUDGET_BYTES = 2 * (on_disk_bytes(FILM_BYTES) + JOURNAL_BYTES)


@dataclass(frozen=True, slots=True)
class Cell:
    """A gateway, a worker, and the servers they use."""

    stack: Servers
    sluice: SluiceProcesses
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self.sluice.url

    @property
    def temp_dir(self) -> Path:
        return Path(self.environment["SLUICE_TEMP_DIR"])


@dataclass(slots=True)
class Sluice:
    """Runs the command `sluice`, with its own state directory."""

    environment: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self._command(arguments),
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it in the background. It is killed after the test if it still runs."""
        process = subprocess.Popen(
            self._command(arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash, in which `$SLUICE` is the command."""
        environment = {**self.environment, "SLUICE": f"{sys.executable} -m deploy.cli"}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    @staticmethod
    def _command(arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "deploy.cli", *arguments]


def events(lines: str) -> list[dict[str, Any]]:
    """The events in the standard output of `sluice upload --json`."""
    return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture(scope="session", autouse=True)
def sigint_is_not_ignored() -> None:
    """A shell without job control starts `pytest &` with SIGINT ignored, and the command would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    with cell_processes(
        servers,
        tmp_path_factory.mktemp("cell"),
        segment_bytes=SEGMENT_BYTES,
        temp_budget_bytes=BUDGET_BYTES,
        temp_headroom_bytes=0,
        temp_share=1.0,  # no windows: `test_early.py` has them
    ) as started:
        yield Cell(servers, started.processes, dict(started.environment))


@contextmanager
def command_for(cell: Cell, directory: Path) -> Iterator[Sluice]:
    """The command, with `cell` as its server. What it has left running is killed."""
    command = Sluice(
        {
            **os.environ,
            **cell.environment,
            "PYTHONPATH": import_path(),
            "XDG_STATE_HOME": str(directory / "state"),
            "SLUICE_SERVER": cell.url,
            "COLUMNS": "200",
        }
    )
    yield command
    for process in command.running:
        process.kill()
        process.communicate()


@pytest.fixture
def sluice(cell: Cell, tmp_path: Path) -> Iterator[Sluice]:
    with command_for(cell, tmp_path) as command:
        yield command


@pytest.fixture(scope="session")
def sample(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "film.mp4"
    make_large_video(ffmpeg_path(), path, FILM_BYTES)
    return path


@pytest.fixture
def film(sample: Path, tmp_path: Path) -> Path:
    """A video of many segments, used by one test only."""
    path = tmp_path / "film.mp4"
    path.write_bytes(sample.read_bytes())
    return path
