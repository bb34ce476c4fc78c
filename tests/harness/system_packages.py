"""Servers that come from Debian packages and not from wheels: a test that needs one is skipped where it is missing.

Guarantee: with TESTS_REQUIRE_SERVERS set, as continuous integration sets it, such a test fails instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Final

import pytest

REQUIRE_SERVERS: Final = "TESTS_REQUIRE_SERVERS"


def missing_programs(programs: Sequence[str]) -> list[str]:
    """Those that are not on PATH."""
    return [program for program in programs if shutil.which(program) is None]


def require_programs(programs: Sequence[str], packages: Sequence[str]) -> None:
    """Skip the test when one of `programs` is not on PATH; fail it where REQUIRE_SERVERS is set."""
    missing = missing_programs(programs)
    if not missing:
        return
    reason = f"{', '.join(missing)} is missing; install the Debian packages {' '.join(packages)}"
    if os.environ.get(REQUIRE_SERVERS):
        pytest.fail(reason)
    pytest.skip(reason)
