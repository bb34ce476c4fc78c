"""A small run of `plan`: it writes constants that `sluice plan` reads, and shows predictions beside a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.plan_constants import read_constants
from deploy.cli.processes import SEPARATE, import_path

pytestmark = pytest.mark.integration


def test_a_small_run_writes_constants_and_compares_a_prediction_with_a_run(tmp_path: Path) -> None:
    constants = tmp_path / "constants.json"
    command = [sys.executable, "-m", "tests.programs.bench", "--only", "plan", "--scale", "0.02"]
    command += ["--constants", str(constants)]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = read_constants(constants)
    assert set(found.processes) == {"gateway", *SEPARATE, "redis", "postgres"}
    assert found.processes["gateway"].gib_seconds > 0
    assert found.redis.ended > found.redis.segment > 0
    assert found.database_bytes >= 0
    report = json.loads((tmp_path / "build" / "bench.json").read_text())
    medians = {figure["name"]: figure["median"] for figure in report["figures"]}
    for name in ("temp volume, held on average", "temp volume, held at the peak", "CPU per upload, gateway"):
        assert medians[f"{name}: predicted"] > 0
        assert medians[f"{name}: measured"] > 0
    assert medians["predicted / measured, furthest from 1"] > 0
    assert list((tmp_path / "build" / "bench").iterdir()) == []
