"""CPU seconds and memory of processes, children included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its living descendants, and of children it has waited for."""
    total = 0.0
    process = psutil.Process(pid)
    for member in [process, *process.children(recursive=True)]:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:  # its parent has waited for it since, and holds its time now
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class CpuMeter:
    """CPU seconds of groups of processes since it was made."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """Seconds by group."""
        now = self._read()
        return {name: now[name] - self._before[name] for name in now}

    def _read(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(pid) for pid in pids) for name, pids in self._groups.items()}


def resident_bytes(pid: int) -> int:
    """Memory of a process now."""
    return int(psutil.Process(pid).memory_info().rss)


def forget_peak(pid: int) -> None:
    """Begin to watch for a new peak (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The most memory that a process had at once since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel tells no peak of process {pid}")
