"""One large file in segments of 10 MiB: through Sluice to `ready`, compared with `swift upload` to the same Swift."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO

from rich.console import Console

from deploy.cli.processes import import_path
from tests.programs.bench.bed import Bed
from tests.programs.bench.commands import run_command
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.usage import CpuMeter

PART = "throughput"
SEGMENT_BYTES = 10 * 1024 * 1024
_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_OBJECT = "bench-object"
_CONTAINER = "bench"


def measure_throughput(bed: Bed, console: Console, *, size_mib: int, repeat: int, concurrency: int) -> list[Figure]:
    """Upload with both programs `repeat` times, in alternating order. Stored objects are removed after each upload."""
    sample = bed.directory / "bench.mp4"
    console.print(f"Making a video of {size_mib} MiB")
    make_large_video(bed.ffmpeg, sample, size_mib * _MIB)
    gib = size_mib / 1024
    samples: defaultdict[str, list[float]] = defaultdict(list)
    programs: list[Callable[[], dict[str, float]]] = [
        lambda: _through_sluice(bed, sample, concurrency, gib),
        lambda: _with_swift_client(bed, sample, gib),
    ]
    for run in range(repeat):
        for measure in programs if run % 2 == 0 else reversed(programs):
            os.sync()  # unwritten data of the previous upload would slow down this one
            measured = measure()
            console.print("  " + ", ".join(f"{name} {value:.2f}" for name, value in measured.items()), highlight=False)
            for name, value in measured.items():
                samples[name].append(value)
    sample.unlink()
    return [Figure(PART, name, _unit(name), values) for name, values in samples.items()]


def _through_sluice(bed: Bed, sample: Path, concurrency: int, gib: float) -> dict[str, float]:
    meter = CpuMeter(bed.groups())
    command = [sys.executable, "-m", "deploy.cli", "upload", "--json", "--server", bed.url]
    command += ["--concurrency", str(concurrency), str(sample)]
    environment = {**os.environ, "XDG_STATE_HOME": str(bed.directory / "state"), "PYTHONPATH": import_path()}
    times: dict[str, float] = {}
    ended: dict[str, object] = {}

    def read_events(output: IO[bytes]) -> None:
        for line in output:
            event = json.loads(line)
            if event["event"] == "sending":
                times.setdefault("first", time.monotonic())
            elif event["event"] == "segment":
                times["last"] = time.monotonic()
            elif event["event"] == "ended":
                times["ready"] = time.monotonic()
                ended.update(event)

    seconds, client_cpu = run_command(command, environment, read_events)
    if ended.get("status") != "ready":
        raise RuntimeError(f"the upload did not become ready: {ended}")
    cpu = meter.read()
    _remove(bed, "sluice")
    return {
        "sluice: first byte to ready": times["ready"] - times["first"],
        "sluice: last byte to ready": times["ready"] - times["last"],
        "sluice: whole command": seconds,
        "sluice: gateway CPU per GiB": cpu["gateway"] / gib,
        "sluice: workers CPU per GiB": cpu["workers"] / gib,
        "sluice: client CPU per GiB": client_cpu / gib,
        "sluice: swift servers CPU per GiB": cpu["swift servers"] / gib,
    }


def _with_swift_client(bed: Bed, sample: Path, gib: float) -> dict[str, float]:
    meter = CpuMeter(bed.groups())
    command = bed.swift_command("upload", "--segment-threads", "16", "--segment-size", str(SEGMENT_BYTES))
    command += ["--object-name", _OBJECT, _CONTAINER, str(sample)]
    seconds, client_cpu = run_command(command, dict(os.environ), lambda output: output.read())
    cpu = meter.read()
    _remove(bed, _CONTAINER)
    return {
        "swift upload: whole command": seconds,
        "swift upload: client CPU per GiB": client_cpu / gib,
        "swift upload: swift servers CPU per GiB": cpu["swift servers"] / gib,
    }


def _remove(bed: Bed, container: str) -> None:
    """Remove objects, manifests and their segments, so that each upload finds the same state of the disk."""
    subprocess.run(bed.swift_command("delete", container, "--prefix", ""), capture_output=True, check=True)


def _unit(name: str) -> str:
    return "CPU s/GiB" if name.endswith("per GiB") else "s"
