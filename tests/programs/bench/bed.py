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
        others = ("redis", "postgres")
        return {
            "gateway": [pids[GATEWAY]],
            "workers": [pid for name, pid in pids.items() if name != GATEWAY],
            "swift servers": [pid for name, pid in servers.items() if name not in others],
            "redis and postgres": [pid for name, pid in servers.items() if name in others],
        }

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
        sluice = SluiceProcesses(directory, {**environment, "SLUICE_AUTH": "none", "SLUICE_LOG_LEVEL": "warning"})
        try:
            sluice.start()
            yield Bed(directory, stack, sluice, ffmpeg_path())
        finally:
            sluice.stop()
