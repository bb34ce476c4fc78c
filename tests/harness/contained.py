"""Runs a command as a container with a read-only root filesystem does, where no container engine can run.

    python -m tests.harness.contained STATE UID COMMAND...

The command is process 1 of a pid namespace. It has no root, no capabilities and cannot gain any. Its root filesystem
is read-only; it can write to STATE, mounted at /var/lib/sluice, and to an empty /tmp. Unlike a container, it shares
the network with the machine, since the servers of the tests listen on loopback.

Guarantee: it ends when the process that started it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.cli.processes import import_path
from deploy.embedded.process import ChildProcess
from tests.harness.installed import make_read_only, make_writable, mount_installation

_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--mount-proc", "--ipc", "--uts", "--kill-child")
_SECONDS: Final = 60.0


def _confined(uid: int, command: Sequence[str]) -> list[str]:
    """`command` as this user, without capabilities, as `cap_drop: [ALL]` and `no-new-privileges` have it."""
    user = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *user, "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", *command]


class Contained:
    """One container. Start and stop it from the main thread."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        state: Path,
        uid: int,
        log_path: Path,
        is_ready: Callable[[], bool],
    ) -> None:
        self._environment = dict(environment)
        self._uid = uid
        inside = [sys.executable, "-m", "tests.harness.contained", str(state), str(uid), *command]
        variables = {**environment, "PYTHONPATH": import_path()}
        unshare = shutil.which("unshare") or "unshare"
        self.process = ChildProcess(name, [unshare, *_NAMESPACES, *inside], log_path, variables, is_ready)
        self._first: int | None = None

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one more command in the container, as `docker exec` and health checks do."""
        return subprocess.run(
            ["nsenter", f"--target={self._init()}", "--mount", "--pid", *_confined(self._uid, command)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def ask_to_stop(self) -> None:
        """SIGTERM to process 1 of the container, as a container engine sends it."""
        os.kill(self._init(), signal.SIGTERM)

    def _init(self) -> int:
        pid = self.process.pid
        assert pid is not None, f"{self.process.name} has ended"
        if self._first is None:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            self._first = int(children[0])
        return self._first


def main(arguments: Sequence[str]) -> None:
    """In the new namespaces: mount, give up every right, and become the command."""
    state, uid, *command = arguments
    mount_installation(Path(state))
    make_read_only("/opt", recursive=True)
    make_read_only("/var", recursive=False)
    make_writable("/proc")  # without root, for its own entries only
    os.chdir("/tmp")
    os.environ["PYTHONPATH"] = "/opt/code"
    os.execvp("setpriv", _confined(int(uid), command))


if __name__ == "__main__":
    main(sys.argv[1:])
