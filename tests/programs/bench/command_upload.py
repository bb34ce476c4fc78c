"""`sluice upload` of one large file as a whole command: its times, and the CPU time of everybody who takes part."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from deploy.cli.processes import import_path
from tests.programs.bench.commands import run_command
from tests.programs.bench.usage import CpuMeter

GIB = 1024 * 1024 * 1024


def command_upload(
    url: str, sample: Path, state: Path, options: Sequence[str], groups: Mapping[str, Iterable[int]]
) -> dict[str, float]:
    """Send `sample` to the gateway at `url`, with `state` as the directory of resume states. Seconds, and CPU seconds
    per GiB of each group of processes (`gateway`, `workers`, ...) and of the client. Raises RuntimeError unless the
    upload becomes `ready`."""
    meter = CpuMeter(groups)
    command = [sys.executable, "-m", "deploy.cli", "upload", "--json", "--server", url, *options, str(sample)]
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "PYTHONPATH": import_path()}
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
    gib = sample.stat().st_size / GIB
    return {
        "first byte to ready": times["ready"] - times["first"],
        "last byte to ready": times["ready"] - times["last"],
        "whole command": seconds,
        **{f"{group} CPU per GiB": used / gib for group, used in meter.read().items()},
        "client CPU per GiB": client_cpu / gib,
    }
