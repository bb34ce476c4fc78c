"""The benchmark writes its figures and removes everything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.processes import import_path
from tests.programs.bench.figures import Figure, percentile


@pytest.mark.unit
def test_percentiles_use_the_nearest_rank() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert percentile(samples, 95) == 95
    assert percentile(samples, 100) == 100
    assert percentile([7.0], 95) == 7
    assert percentile([1.0, 2.0], 50) == 1


@pytest.mark.unit
def test_the_report_keeps_the_samples_of_a_figure() -> None:
    figure = Figure("part", "name", "s", [3.0, 1.0, 2.0])
    assert figure.as_dict() == {
        "part": "part",
        "name": "name",
        "unit": "s",
        "median": 2.0,
        "p95": 3.0,
        "samples": [3.0, 1.0, 2.0],
    }


@pytest.mark.integration
def test_a_short_run_measures_both_programs_and_leaves_only_its_report(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.programs.bench",
        "--only",
        "throughput",
        "--size-mib",
        "25",
        "--repeat",
        "1",
    ]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads((tmp_path / "build" / "bench.json").read_text())
    medians = {figure["name"]: figure["median"] for figure in report["figures"]}
    for name in ("sluice: first byte to ready", "sluice: gateway CPU per GiB", "swift upload: whole command"):
        assert medians[name] > 0
        assert name in ran.stdout
    assert {"cores", "kernel", "python", "packages"} <= set(report["machine"])
    assert list((tmp_path / "build" / "bench").iterdir()) == []


@pytest.mark.integration
def test_a_short_run_compares_both_clients_with_photos(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.programs.bench", "--only", "photos", "--photos", "3", "--repeat", "1"]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads((tmp_path / "build" / "bench.json").read_text())
    medians = {figure["name"]: figure["median"] for figure in report["figures"]}
    ratio = medians["sluice upload: rate"] / medians["plain client: rate"]
    assert medians["sluice upload / plain client: rate"] == pytest.approx(ratio, rel=0.01)
