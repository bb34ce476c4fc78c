"""A short run of the fuzzer, with every change; `make tus-fuzz` runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.shared_stack import Servers
from tests.programs.tus_fuzz.run import run

pytestmark = pytest.mark.e2e

_SECONDS = 8.0


async def test_some_seconds_of_right_and_wrong_requests(servers: Servers, tmp_path: Path) -> None:
    outcome = await run(servers, tmp_path, 1, _SECONDS)
    assert outcome.violations == []
    assert outcome.counts["patch 204"]
    assert outcome.counts["final 201"]
