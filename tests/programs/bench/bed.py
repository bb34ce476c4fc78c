"""The test bed: the embedded stack, a gateway, and a process for each worker type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.processes import GATEWAY, SluiceProcesses
from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.ffmpeg import ffmpeg_path
from deploy.embedded.servers_venv import servers_python

_NOT_SWIFT = ("redis", "postgres")


@dataclass(frozen=True, slots=True)
class Bed:
    """The running system that is measured."""

    directory: Path
    stack: EmbeddedStack
    sluice: SluiceProcesses
    ffmpeg: str

    @property
    def url(self) -> str:
        return self.sluice.url

    @property
    def gateway_pid(self) -> int:
        return self.sluice.pids()[GATEWAY]

    def groups(self) -> dict[str, list[int]]:
        """Process ids by role."""
        pids = self.sluice.pids()
        servers = self.stack.processes()
        return {
            "gateway": [pids[GATEWAY]],
            "workers": [pid for name, pid in pids.items() if name != GATEWAY],
            "swift servers": [pid for name, pid in servers.items() if name not in _NOT_SWIFT],
            "redis and postgres": [pid for name, pid in servers.items() if name in _NOT_SWIFT],
        }

    def by_process(self) -> dict[str, list[int]]:
        """Process ids by the name of the process: `gateway`, `worker-transfer`, ..., `redis`, `postgres`, and `swift`
        for all of Swift's."""
        servers = self.stack.processes()
        swift = [pid for name, pid in servers.items() if name not in _NOT_SWIFT]
        own = {**self.sluice.pids(), **{name: servers[name] for name in _NOT_SWIFT}}
        return {**{name: [pid] for name, pid in own.items()}, "swift": swift}

    def swift_command(self, *arguments: str) -> list[str]:
        """A command line of python-swiftclient (in the servers' environment) with credentials for this Swift."""
        login = self.stack.swift
        client = str(servers_python().parent / "swift")
        return [client, "--auth-version", "1", "-A", login.auth_url, "-U", login.user, "-K", login.key, *arguments]


@contextmanager
def open_bed(directory: Path) -> Iterator[Bed]:
    """Start the test bed, and stop it after the block."""
    with EmbeddedStack(StackOptions(directory)) as stack:
        environment = stack.environment()
        own = {"SLUICE_AUTH": "none", "SLUICE_LOG_LEVEL": "warning", "SLUICE_CONNECTIONS_PER_ADDRESS": "0"}
        sluice = SluiceProcesses(directory, {**environment, **own})
        try:
            sluice.start()
            yield Bed(directory, stack, sluice, ffmpeg_path())
        finally:
            sluice.stop()
