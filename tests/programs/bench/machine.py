"""The facts about the machine that its figures depend on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from deploy.cli.doctor.check_temp_volume import find_mount

_PACKAGES = ("aiohttp", "arq", "redis", "asyncpg", "pydantic")


def machine_facts(directory: Path) -> dict[str, object]:
    """Cores, CPU, memory, load, kernel, filesystem of `directory`, and versions, as JSON-able data."""
    mount = find_mount(directory.resolve(), Path("/proc/self/mounts").read_text().splitlines())
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": os.getloadavg()[0],
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
