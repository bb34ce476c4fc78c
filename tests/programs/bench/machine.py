"""The facts about the machine that its figures depend on, and how busy it was before the run."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from deploy.cli.doctor.check_temp_volume import find_mount

_IDLE_SECONDS = 2.0
_PACKAGES = ("aiohttp", "arq", "redis", "asyncpg", "pydantic")


def machine_facts(directory: Path) -> dict[str, object]:
    """Cores, CPU, memory, kernel, filesystem of `directory`, and versions, as JSON-able data. `load_before`: the load
    averages over 1, 5 and 15 minutes; `cpu_idle_percent_before`: of all cores, over the next two seconds."""
    mount = find_mount(directory.resolve(), Path("/proc/self/mounts").read_text().splitlines())
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "cpu_idle_percent_before": psutil.cpu_times_percent(_IDLE_SECONDS).idle,
        "kernel": platform.release(),
        "filesystem": mount.kind,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
