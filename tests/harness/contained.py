"""Runs a command as a container with a read-only root filesystem does, where no container engine can run.

    python -m tests.harness.contained STATE rw|ro MOUNTS UID NAME COMMAND...

The command is process 1 of a pid namespace. It has no root, no capabilities and cannot gain any. Its root filesystem
is read-only; it can write to an empty /tmp and, with `rw`, to STATE, which it sees as /var/lib/sluice. Unlike a
container, it shares the network with the machine, since the servers of the tests listen on loopback.

Guarantee: it ends when the process that started it ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.cli.processes import import_path
from deploy.embedded.process import ChildProcess
from tests.harness.installed import CODE, make_read_only, make_writable, mount, mount_installation

_UNSHARE: Final = "/usr/bin/unshare"
_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--mount-proc", "--ipc", "--uts", "--kill-child")


@dataclass
class Container(ChildProcess):
    """A command in namespaces of its own, without privileges; see `contained`."""

    uid: int = 0

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one more command in it, as container engines do for health checks."""
        return subprocess.run(
            ["nsenter", f"--target={self._first()}", "--mount", "--pid", *_confined(self.uid, command)],
            env={**self.environment, "PYTHONPATH": CODE},
            capture_output=True,
            text=True,
            check=False,
        )

    def ask_to_stop(self, signal_number: int | None = None) -> None:
        """As container engines do, the signal goes to the command itself: `unshare` does not pass it on."""
        if self.pid is not None and not self._is_stopping:
            os.kill(self._first(), self.stop_signal if signal_number is None else signal_number)
            self._is_stopping = True

    def _first(self) -> int:
        """Process 1 of the container; `unshare` itself before it has started that one."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else self.pid or 0


def container(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    log_path: Path,
    is_ready: Callable[[], bool],
    *,
    state: Path,
    writable: bool = True,
    uid: int,
    mounts: Mapping[str, str] | None = None,
    stop_signal: int = signal.SIGTERM,
    stop_seconds: float = 30.0,
) -> Container:
    """A container that is not started yet. `state`: what it sees as /var/lib/sluice, and whether it
    can write there. `mounts`: more files of the machine, by their path in the container."""
    inside = [str(state), "rw" if writable else "ro", json.dumps(mounts or {}), str(uid), name, *command]
    return Container(
        name,
        [_UNSHARE, *_NAMESPACES, sys.executable, "-m", __name__, *inside],
        log_path,
        {**environment, "PYTHONPATH": import_path()},
        is_ready,
        stop_signal=stop_signal,
        stop_seconds=stop_seconds,
        uid=uid,
    )


def _confined(uid: int, command: Sequence[str]) -> list[str]:
    """`command` as this user, without capabilities, as `cap_drop: [ALL]` and `no-new-privileges` have it."""
    user = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *user, "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", *command]


def _main(state: str, access: str, mounts: str, uid: str, name: str, *command: str) -> None:
    """In the new namespaces: mount, give up every right, and become the command."""
    socket.sethostname(name)  # its workers' names have it
    for target, source in json.loads(mounts).items():
        mount("--bind", source, target)
    mount_installation(Path(state))
    make_read_only("/opt", recursive=True)
    make_read_only("/var", recursive=access == "ro")
    make_writable("/proc")  # without root, for its own entries only
    for output in (1, 2):  # container engines do so too: /dev/stdout can be opened
        os.fchown(output, int(uid), int(uid))
    os.chdir("/tmp")  # the WORKDIR of the image
    os.environ["PYTHONPATH"] = CODE
    os.execvp("setpriv", _confined(int(uid), command))  # noqa: S606 -- it becomes this program


if __name__ == "__main__":
    _main(*sys.argv[1:])
