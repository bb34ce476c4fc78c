"""A worker process imports nothing that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from deploy.cli.processes import import_path

pytestmark = pytest.mark.integration

_PROGRAM = "import json, sys; import workers.process; print(json.dumps(sorted(sys.modules)))"
# Of S3, of PostgreSQL, of tokens, of the reader, of the command line.
_NOT_USED = (
    *("aiobotocore", "botocore", "asyncpg", "jwt", "cryptography.hazmat", "av", "numpy", "PIL", "rich", "click"),
    "opentelemetry",
)


def test_a_worker_imports_no_library_of_another_store_or_of_another_process() -> None:
    command = [sys.executable, "-c", _PROGRAM]
    ran = subprocess.run(command, env={"PYTHONPATH": import_path()}, capture_output=True, text=True, check=True)
    imported = json.loads(ran.stdout)
    assert "pipeline.engine.engine" in imported
    assert [name for name in _NOT_USED if name in imported] == []
