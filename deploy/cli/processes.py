"""Gateways and workers as child processes, on reserved ports.

Guarantee: no process outlives the one that started it, even when that one is killed with SIGKILL (parent-death signal,
`deploy.embedded.child`). They start and stop concurrently, which loses nothing: what a gateway still receives is
recorded, and waits in a queue for the next worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import deploy
from deploy.embedded.http import answers
from deploy.embedded.layout import Layout
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all, stop_all
from pipeline.core.stages import WorkerType

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
GATEWAY: Final = "gateway"

SEPARATE: Final[Mapping[str, Sequence[str]]] = {f"worker-{kind}": [kind] for kind in WorkerType}
"""One process per worker type."""
ALL_IN_ONE: Final[Mapping[str, Sequence[str]]] = {"worker-all": ["all"]}
"""One process for all worker types."""


class SluiceProcesses:
    """Sluice's own processes, using the servers that `environment` names. Use it from the main thread only."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        workers: Mapping[str, Sequence[str]] = SEPARATE,
        port: int = 0,
        gateways: int = 1,
    ) -> None:
        self._layout = Layout(directory.resolve())
        self._environment = {**os.environ, **environment, "PYTHONPATH": import_path(), "PYTHONUNBUFFERED": "1"}
        self._ports = PortPool()
        # The first gateway is called `gateway` and gets the requested port; the others are numbered from 2.
        names = [GATEWAY, *(f"{GATEWAY}-{number}" for number in range(2, gateways + 1))]
        ports = [port or self._ports.port(GATEWAY), *(self._ports.port(name) for name in names[1:])]
        self.urls = {name: f"http://{LOOPBACK}:{number}" for name, number in zip(names, ports, strict=True)}
        self.url = self.urls[GATEWAY]
        self._children = [
            *(self._gateway(name, url) for name, url in self.urls.items()),
            *(self._worker(name, stages) for name, stages in workers.items()),
        ]

    def start(self) -> None:
        """Starts all processes and waits until each responds.

        Raises ServerFailedError, with the last lines of its log, when one does not.
        """
        run_all(child.bring_up() for child in self._children)

    def stop(self) -> None:
        """Stops all processes at once; kills what does not end in time. Idempotent."""
        stop_all(self._children)
        self._ports.release_all()

    @property
    def names(self) -> list[str]:
        """The name of every process, running or not: the gateways, then the workers."""
        return [child.name for child in self._children]

    def pids(self) -> dict[str, int]:
        """The process id of every running process, by name."""
        return {child.name: child.pid for child in self._children if child.pid is not None}

    def log_path(self, name: str) -> Path:
        return self._layout.log(name)

    def metrics_url(self, name: str) -> str:
        """The URL of a process's metrics."""
        base = self.urls[name] if name in self.urls else f"http://{LOOPBACK}:{self._ports.port(name)}"
        return f"{base}/metrics"

    def child(self, name: str) -> ChildProcess:
        """One process, to kill or restart it. Raises KeyError."""
        return {child.name: child for child in self._children}[name]

    def _gateway(self, name: str, url: str) -> ChildProcess:
        return self._child(name, ["gateway"], f"{url}/readyz", {"SLUICE_PORT": url.rpartition(":")[2]})

    def _worker(self, name: str, stages: Sequence[str]) -> ChildProcess:
        port = self._ports.port(name)
        return self._child(
            name, ["worker", *stages], f"http://{LOOPBACK}:{port}/healthz", {"SLUICE_METRICS_PORT": str(port)}
        )

    def _child(self, name: str, arguments: list[str], ready_url: str, own: Mapping[str, str]) -> ChildProcess:
        return ChildProcess(
            name=name,
            command=[sys.executable, "-m", "deploy.cli", *arguments],
            log_path=self._layout.log(name),
            environment={**self._environment, **own, "SLUICE_HOST": LOOPBACK},
            is_ready=lambda: answers(ready_url),
            ready_seconds=_READY_SECONDS,
            stop_seconds=_STOP_SECONDS,
        )


def import_path() -> str:
    """A PYTHONPATH that starts with this code's own directory, so that children run the same code, installed or not."""
    root = str(Path(deploy.__file__).resolve().parent.parent)
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
