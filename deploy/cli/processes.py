"""Gateways and workers as real child processes, on ports that are reserved for them.

Guarantee: none outlives the process that started it, `kill -9` included (the embedded stack's parent-death signal);
they are started side by side, watched by name, and stopped in an order that loses nothing: the gateways first, so that
no new work comes in.
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
from deploy.embedded.process import ChildProcess, run_all
from pipeline.core.stages import WorkerType

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
GATEWAY: Final = "gateway"

SEPARATE: Final[Mapping[str, Sequence[str]]] = {f"worker-{kind}": [kind] for kind in WorkerType}
"""One process for each worker type."""
ALL_IN_ONE: Final[Mapping[str, Sequence[str]]] = {"worker-all": ["all"]}
"""One process for all of them."""


class SluiceProcesses:
    """Sluice's own processes on top of the servers that `environment` names. To be used from the main thread."""

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
        # the first one is called `gateway` and has the port that was asked for; the others are numbered from 2
        names = [GATEWAY, *(f"{GATEWAY}-{number}" for number in range(2, gateways + 1))]
        ports = [port or self._ports.port(GATEWAY), *(self._ports.port(name) for name in names[1:])]
        self.urls = {name: f"http://{LOOPBACK}:{number}" for name, number in zip(names, ports, strict=True)}
        self.url = self.urls[GATEWAY]
        self._children = [
            *(self._gateway(name, url) for name, url in self.urls.items()),
            *(self._worker(name, stages) for name, stages in workers.items()),
        ]

    def start(self) -> None:
        """All at once; returns when each answers.

        Raises ServerFailedError with the last lines of the log of the one that does not.
        """
        run_all(child.bring_up() for child in self._children)

    def stop(self) -> None:
        """The gateways, then every worker. Idempotent; whatever does not end in time is killed."""
        gateways, workers = self._children[: len(self.urls)], self._children[len(self.urls) :]
        for group in (gateways, workers):
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.stop()
        self._ports.release_all()

    @property
    def names(self) -> list[str]:
        """Of every process, running or not: the gateways, then the workers."""
        return [child.name for child in self._children]

    def pids(self) -> dict[str, int]:
        """Name to process id of each that runs."""
        return {child.name: child.pid for child in self._children if child.pid is not None}

    def log_path(self, name: str) -> Path:
        return self._layout.log(name)

    def metrics_url(self, name: str) -> str:
        """Where one of them shows its metrics."""
        base = self.urls[name] if name in self.urls else f"http://{LOOPBACK}:{self._ports.port(name)}"
        return f"{base}/metrics"

    def child(self, name: str) -> ChildProcess:
        """One process, to be killed or started again. Raises KeyError."""
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
    """Where `deploy` was imported from, so that children run the same code, installed or not."""
    root = str(Path(deploy.__file__).resolve().parent.parent)
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
