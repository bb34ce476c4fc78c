"""What a worker process costs before it does anything: the time that its import takes, and its memory when it is idle,
by worker type and with all types in one process. Swift is the only store that is configured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median

import psutil
from rich.console import Console

from deploy.cli.processes import ALL_IN_ONE, GATEWAY, SEPARATE, SluiceProcesses, import_path
from deploy.embedded.layout import Layout
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.usage import resident_bytes

PART = "process"
_IMPORT = "import time; began = time.perf_counter(); import workers.process; print(time.perf_counter() - began)"
_IDLE_SECONDS = 3.0
_MIB = 1024 * 1024


def measure_processes(bed: Bed, console: Console, *, repeat: int) -> list[Figure]:
    """Seconds of the import, of `repeat` processes; MiB of resident memory. A reader host is a child of its worker and
    counts with `worker all` and by itself."""
    _import_seconds()  # writes the bytecode
    figures = [Figure(PART, "worker: import", "s", [_import_seconds() for _ in range(repeat)])]
    separate = _idle_bytes(bed, "separate", SEPARATE)
    own = {name: sizes[0] / _MIB for name, sizes in separate.items()}
    hosts = [size / _MIB for sizes in separate.values() for size in sizes[1:]]
    together = [sum(sizes) / _MIB for sizes in _idle_bytes(bed, "together", ALL_IN_ONE).values()]
    figures += [
        Figure(PART, "worker: resident when idle", "MiB", list(own.values())),
        *(Figure(PART, f"{name}: resident when idle", "MiB", [size]) for name, size in own.items()),
        Figure(PART, "reader host: resident when idle", "MiB", hosts),
        Figure(PART, "worker all: resident when idle", "MiB", together),
    ]
    for figure in figures:
        console.print(f"  {figure.name}: {median(figure.samples):.2f} {figure.unit}", highlight=False)
    return figures


def _import_seconds() -> float:
    environment = {**os.environ, "PYTHONPATH": import_path(), "PYTHONDONTWRITEBYTECODE": ""}
    ran = subprocess.run([sys.executable, "-c", _IMPORT], env=environment, capture_output=True, text=True, check=True)
    return float(ran.stdout)


def _idle_bytes(bed: Bed, name: str, workers: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Resident bytes of each worker, then of its children, a few seconds after its start."""
    stores = ("SLUICE_S3_", "SLUICE_FILESYSTEM_")
    environment = {
        **{key: value for key, value in bed.stack.environment().items() if not key.startswith(stores)},
        "SLUICE_REDIS_NAMESPACE": f"idle-{name}",
        "SLUICE_VOLUME": f"idle-{name}",
        "SLUICE_TEMP_DIR": str(bed.directory / f"idle-{name}"),
        "SLUICE_AUTH": "none",
        "SLUICE_LOG_LEVEL": "warning",
    }
    layout = Layout(bed.directory / f"idle-{name}")
    layout.make()
    processes = SluiceProcesses(layout.directory, environment, workers=workers)
    try:
        processes.start()
        time.sleep(_IDLE_SECONDS)  # a reader host imports after its worker is ready
        return {
            process: [resident_bytes(each) for each in (pid, *(child.pid for child in psutil.Process(pid).children()))]
            for process, pid in processes.pids().items()
            if process != GATEWAY
        }
    finally:
        processes.stop()
