"""A real systemd as process 1 of a pid namespace, with units of our own.

Guarantee: it runs its own units only, none of the machine's, and can write to its own state only: everything else is
read-only (`installed`). At the end of the block every process has ended and the cgroups are removed. Everything ends
when this process ends; the next one removes the empty cgroups.

    python -m tests.harness.systemd join GROUP UNITS ETC STATE      joins the cgroup, and makes the namespaces
    python -m tests.harness.systemd boot UNITS ETC STATE            mounts the directories, and becomes systemd
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.cli.processes import import_path
from deploy.embedded.process import ChildProcess, run_all, wait_until
from tests.harness.installed import mount, mount_installation, mount_tmpfs, require_namespaces
from tests.harness.system_packages import require_programs

_SYSTEMD: Final = "/lib/systemd/systemd"
_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--mount-proc", "--ipc", "--uts", "--cgroup", "--kill-child")
_PREFIX: Final = "sluice-tests-"
_SECONDS: Final = 60.0
_STUBS: Final = ("idle", "sysinit", "basic", "shutdown", "network-online", "multi-user")
_LOGS: Final = "[Service]\nStandardOutput=append:/run/logs/%n\nStandardError=inherit\n"
_STUB: Final = "[Unit]\nDescription=Nothing\nDefaultDependencies=no\n"


def require_systemd_tools() -> None:
    """Skip or fail the test where systemd is not installed (`system_packages`)."""
    require_programs(["systemctl", "systemd-analyze", "systemd-sysusers", "systemd-tmpfiles"], ["systemd"])


def require_systemd() -> None:
    """Skip or fail the test where systemd is not installed, or cannot run."""
    require_systemd_tools()
    require_namespaces()


class Systemd:
    """A system with the units in the directory `units`, /etc/sluice from `etc`, and /var/lib/sluice from `state`.
    Start it from the main thread."""

    def __init__(self, directory: Path, units: Path, etc: Path, state: Path) -> None:
        self._group = _cgroups() / f"{_PREFIX}{os.getpid()}-{directory.name}"
        self._process = ChildProcess(
            "systemd",
            [sys.executable, "-m", __name__, "join", str(self._group), str(units), str(etc), str(state)],
            directory / "systemd.log",
            {**os.environ, "PYTHONPATH": import_path()},
            is_ready=lambda: self.run("is-system-running").stdout.strip() == "running",
            ready_seconds=_SECONDS,
        )
        self.log_path = directory / "systemd.log"

    def __enter__(self) -> Self:
        _remove_abandoned(self._group.parent)
        self._group.mkdir()
        try:
            run_all([self._process.bring_up()])
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """systemctl."""
        return self.execute(["systemctl", "--no-pager", *arguments])

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as root, outside of the sandboxes of the units."""
        inside = ["nsenter", f"--target={self._first()}", "--mount", "--pid", "--cgroup", *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False)

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd knows about a unit, by the names of its properties."""
        shown = self.run("show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in shown.stdout.splitlines())

    def log(self, unit: str) -> str:
        """What a service has printed."""
        return self.execute(["cat", f"/run/logs/{unit}"]).stdout

    def _first(self) -> str:
        """The process id of systemd; 0, which has no namespaces, until it runs."""
        with suppress(OSError, IndexError):
            return Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0]
        return "0"

    def _end(self) -> None:
        self._process.stop(9)  # the kernel ends systemd (--kill-child), and then everything in its pid namespace
        wait_until(self._remove_group, _SECONDS)

    def _remove_group(self) -> bool:
        _remove(self._group)
        return not self._group.exists()


def _cgroups() -> Path:
    """Where the second version of cgroups is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise RuntimeError("no cgroup2 filesystem is mounted")


def _remove(group: Path) -> None:
    """Remove a cgroup and those below it, if no process is left in them."""
    with suppress(OSError):
        for path in [path for path, _, _ in os.walk(group, topdown=False)]:
            os.rmdir(path)


def _remove_abandoned(parent: Path) -> None:
    """Remove the cgroups of test processes that were killed."""
    for group in parent.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{group.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
            _remove(group)


def _join(group: str, *directories: str) -> None:
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    unshare = shutil.which("unshare") or "unshare"
    inside = [sys.executable, "-m", "tests.harness.systemd", "boot", *directories]
    os.execv(unshare, [unshare, *_NAMESPACES, *inside])  # noqa: S606 -- it becomes this program


def _boot(units: str, etc: str, state: str) -> None:
    files = {"/etc/systemd/system": _read(units), "/etc/sluice": _read(etc)}
    mount_installation(Path(state))
    mount_tmpfs("/run")  # the sockets of the machine's services are not for ours
    subprocess.run(["cp", "--archive", "/etc", "/run/etc"], check=True)
    mount("--bind", "/run/etc", "/etc")
    # No unit of the machine may run: some of them remove files and change settings of the kernel when a system boots.
    for path in ("/usr/lib/systemd/system", "/usr/lib/systemd/system-generators"):
        mount_tmpfs(path)
    shutil.rmtree("/etc/systemd")
    files["/etc/systemd/system"].update(dict.fromkeys((f"{name}.target" for name in _STUBS), _STUB))
    files["/etc/systemd/system/service.d"] = {"logs.conf": _LOGS}
    os.mkdir("/run/logs")
    for directory, contents in files.items():
        os.makedirs(directory, exist_ok=True)
        for name, text in contents.items():
            Path(directory, name).write_text(text)
    for tool, file in (("systemd-sysusers", "sysusers.conf"), ("systemd-tmpfiles --create", "tmpfiles.conf")):
        subprocess.run([*tool.split(), f"/etc/systemd/system/{file}"], check=True)
    mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    os.environ.clear()
    os.environ.update({"container": "other", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    options = ["--system", "--unit=idle.target", "--show-status=no", "--log-target=console"]
    os.execv(_SYSTEMD, [_SYSTEMD, *options])  # noqa: S606 -- it becomes this program


def _read(directory: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(directory).iterdir()}


if __name__ == "__main__":
    if sys.argv[1] == "join":
        _join(*sys.argv[2:])
    else:
        _boot(*sys.argv[2:])
