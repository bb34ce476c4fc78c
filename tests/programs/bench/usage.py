"""CPU time and memory of processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its running descendants, and the children it has waited for."""
    total = 0.0
    process = psutil.Process(pid)
    for member in [process, *process.children(recursive=True)]:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:  # it has ended, and its time is now counted in its parent
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class CpuMeter:
    """Measures the CPU seconds of groups of processes since its creation."""

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
    """Current resident memory of a process."""
    return int(psutil.Process(pid).memory_info().rss)


def forget_peak(pid: int) -> None:
    """Reset the peak resident memory of a process (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """Peak resident memory of a process since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not report a peak for process {pid}")
