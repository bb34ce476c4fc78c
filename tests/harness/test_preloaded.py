"""Preloaded processes behave as those of `SluiceProcesses` do: log, exit status, signals, death with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.cli.processes import GATEWAY, import_path
from deploy.embedded.http import answers
from deploy.embedded.layout import Layout
from deploy.embedded.process import ChildProcess
from deploy.embedded.process_tree import descendants, is_alive
from tests.harness.preloaded import PreloadedProcesses
from tests.integration.embedded_requests import wait_until

pytestmark = pytest.mark.integration

# Starts a gateway whose dependencies are unavailable, and waits.
_HOLDER = """
import sys
from pathlib import Path
from deploy.embedded.layout import Layout
from tests.harness.preloaded import PreloadedProcesses
directory = Path(sys.argv[1])
Layout(directory).make()
environment = {"SLUICE_STORE": "filesystem", "SLUICE_FILESYSTEM_DIR": sys.argv[1], "SLUICE_TEMP_DIR": sys.argv[1]}
processes = PreloadedProcesses(directory, environment, workers={})
processes.child("gateway").start()
print(processes.child("gateway").pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def _gateway(directory: Path, **environment: str) -> Iterator[tuple[ChildProcess, str]]:
    """A gateway that is not started yet, and its address."""
    Layout(directory).make()
    places = {"SLUICE_TEMP_DIR": str(directory / "temp"), "SLUICE_FILESYSTEM_DIR": str(directory / "store")}
    processes = PreloadedProcesses(directory, {"SLUICE_STORE": "filesystem", **places, **environment}, workers={})
    try:
        yield processes.child(GATEWAY), processes.url
    finally:
        processes.stop()


def test_a_process_that_fails_leaves_its_reason_and_its_status(tmp_path: Path) -> None:
    with _gateway(tmp_path, SLUICE_SEGMENT_BYTES="many") as (gateway, _):
        gateway.start()
        wait_until(lambda: gateway.pid is None, "the end of a gateway whose settings are wrong")
        assert gateway.exit_status == 1
        assert "SLUICE_SEGMENT_BYTES" in gateway.log_path.read_text()


def test_it_ends_in_good_order_and_starts_again(tmp_path: Path) -> None:
    with _gateway(tmp_path) as (gateway, url):
        for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
            gateway.start()
            wait_until(lambda: answers(f"{url}/healthz"), "the gateway to respond")
            assert gateway.pid is not None
            assert os.getsid(gateway.pid) != os.getsid(0)
            gateway.stop(number)
            assert gateway.exit_status == status


def test_kill_9_of_the_parent_leaves_nothing_running(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": import_path()},
    )
    with holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        family = descendants(holder.pid)
        assert pid in {member.pid for member in family}
        holder.kill()
    wait_until(lambda: not any(is_alive(member) for member in family), "the end of the gateway and of the nursery")
