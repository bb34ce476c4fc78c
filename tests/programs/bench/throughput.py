"""One large file in segments of 10 MiB into Swift: through Sluice to `ready`, with `swift upload`, and with plain PUTs
of the same segments, in turn.

`sluice` is `sluice upload` with its own defaults; with client MD5, it sends the MD5 of each segment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from deploy.cli.processes import import_path
from tests.programs.bench.bed import Bed
from tests.programs.bench.command_upload import GIB, command_upload
from tests.programs.bench.commands import run_command
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.usage import CpuMeter

PART = "throughput"
SEGMENT_BYTES = 10 * 1024 * 1024
_MIB = 1024 * 1024
_OBJECT = "bench-object"
_CONTAINER = "bench"
_SLUICE, _WITH_MD5, _SWIFT, _RAW = "sluice", "sluice, client MD5", "swift upload", "raw PUTs"
_TO_READY, _WHOLE = "first byte to ready", "whole command"
Measured = dict[str, float]


def measure_throughput(bed: Bed, console: Console, *, size_mib: int, repeat: int, concurrency: int) -> list[Figure]:
    """Upload with each program `repeat` times, in an order that changes. Stored objects are removed after each
    upload."""
    sample = bed.directory / "bench.mp4"
    console.print(f"Making a video of {size_mib} MiB")
    make_large_video(bed.ffmpeg, sample, size_mib * _MIB)
    options = ["--concurrency", str(concurrency)]
    programs: dict[str, Callable[[], Measured]] = {
        _SLUICE: lambda: _through_sluice(bed, sample, options),
        _WITH_MD5: lambda: _through_sluice(bed, sample, [*options, "--digest", "md5"]),
        _SWIFT: lambda: _with_swift_client(bed, sample),
        _RAW: lambda: _with_raw_puts(bed, sample),
    }
    samples = in_turn(programs, repeat, console)
    sample.unlink()
    figures = [Figure(PART, name, unit_of(name), values) for name, values in samples.items()]
    return [
        *figures,
        *_ratios(samples, f"{_SWIFT}: {_WHOLE}", (_SLUICE, _WITH_MD5)),
        *_ratios(samples, f"{_RAW}: first byte to stored", (_SLUICE, _WITH_MD5)),
    ]


def in_turn(programs: Mapping[str, Callable[[], Measured]], repeat: int, console: Console) -> dict[str, list[float]]:
    """Run each program once in each of `repeat` rounds. Each goes first in a round of its own, so that none always
    profits from the others' pauses. The samples, as `program: figure`."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    names = list(programs)
    for number in range(repeat):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            os.sync()  # unwritten data of the previous upload would slow down this one
            measured = programs[name]()
            text = ", ".join(f"{key} {value:.2f}" for key, value in measured.items())
            console.print(f"  {name}: {text}", highlight=False)
            for key, value in measured.items():
                samples[f"{name}: {key}"].append(value)
    return samples


def unit_of(name: str) -> str:
    """The unit of a figure of an upload, by its name."""
    return "CPU s/GiB" if name.endswith("per GiB") else "s"


def _ratios(samples: Mapping[str, Sequence[float]], peer: str, programs: Sequence[str]) -> list[Figure]:
    """Of each round: the time to `ready`, divided by the peer's time."""
    return [
        Figure(
            PART,
            f"{program} / {peer}",
            "",
            [own / other for own, other in zip(samples[f"{program}: {_TO_READY}"], samples[peer], strict=True)],
        )
        for program in programs
    ]


def _through_sluice(bed: Bed, sample: Path, options: Sequence[str]) -> Measured:
    measured = command_upload(bed.url, sample, bed.directory / "state", options, bed.groups())
    _remove(bed, "sluice")
    return measured


def _with_swift_client(bed: Bed, sample: Path) -> Measured:
    command = bed.swift_command("upload", "--segment-threads", "16", "--segment-size", str(SEGMENT_BYTES))
    command += ["--object-name", _OBJECT, _CONTAINER, str(sample)]
    measured, _ = _with_command(bed, sample, command, os.environ)
    return measured


def _with_raw_puts(bed: Bed, sample: Path) -> Measured:
    login = bed.stack.swift
    order = {
        "auth_url": login.auth_url,
        "user": login.user,
        "key": login.key,
        "container": _CONTAINER,
        "name": _OBJECT,
        "file": str(sample),
        "segment_bytes": SEGMENT_BYTES,
    }
    command = [sys.executable, "-m", "tests.programs.bench.raw_puts", json.dumps(order)]
    measured, output = _with_command(bed, sample, command, {**os.environ, "PYTHONPATH": import_path()})
    return {"first byte to stored": float(output), **measured}


def _with_command(
    bed: Bed, sample: Path, command: Sequence[str], environment: Mapping[str, str]
) -> tuple[Measured, bytes]:
    """Run a client of Swift. What it needs, and what it prints."""
    meter = CpuMeter(bed.groups())
    output: list[bytes] = []
    seconds, client_cpu = run_command(command, environment, output.extend)
    cpu = meter.read()
    _remove(bed, _CONTAINER)
    gib = sample.stat().st_size / GIB
    measured = {
        _WHOLE: seconds,
        "client CPU per GiB": client_cpu / gib,
        "swift servers CPU per GiB": cpu["swift servers"] / gib,
    }
    return measured, b"".join(output)


def _remove(bed: Bed, container: str) -> None:
    """Remove objects, manifests and their segments, so that each upload finds the same state of the disk."""
    subprocess.run(bed.swift_command("delete", container, "--prefix", ""), capture_output=True, check=True)
