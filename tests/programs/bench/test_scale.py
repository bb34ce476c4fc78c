"""A small run of `scale`: every figure is there, and nothing of the run stays in Redis or on the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.processes import import_path

pytestmark = pytest.mark.integration


def test_a_small_run_measures_requests_admission_memory_and_gateways(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.programs.bench", "--only", "scale", "--scale", "0.02"]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads((tmp_path / "build" / "bench.json").read_text())
    found = {figure["name"]: figure["samples"] for figure in report["figures"]}
    for phase in ("without a queue", "with the queue"):
        for request in ("POST", "PUT", "GET", "LIST"):
            assert len(found[f"{phase}: {request}"]) == 5
            assert min(found[f"{phase}: {request}"]) > 0
        assert f"{phase}: CPU, redis" in found
    for status in ("admitted, idle", "waiting", "ready"):
        assert min(found[f"{status}: keys of one upload in Redis"]) > 0
    assert len(found["from released room to the admission of the next"]) == 5
    for gateways in (1, 4):
        assert {f"{gateways} gateways: {name}" for name in ("CPU per upload", "calls per upload")} <= set(found)
    assert "CPU per upload: 4 gateways / 1" in found
    assert "| POST with 10,000 waiting |" in ran.stdout
    assert list((tmp_path / "build" / "bench").iterdir()) == []
