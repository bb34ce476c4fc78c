"""Node.js and the JavaScript packages of tests/javascript: a test that needs them is skipped where they are missing.

Guarantee: with TESTS_REQUIRE_SERVERS set, as continuous integration sets it, such a test fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.harness.system_packages import REQUIRE_SERVERS, require_programs

JAVASCRIPT: Final = Path(__file__).parents[1] / "javascript"
MODULES: Final = JAVASCRIPT / "node_modules"


def require_javascript() -> Path:
    """The folder whose `node_modules` has the packages; `make setup-javascript` installs them."""
    require_programs(["node"], ["nodejs", "npm"])
    if not (MODULES / "axe-core").is_dir():
        reason = "the packages of tests/javascript are missing; run: make setup-javascript"
        if os.environ.get(REQUIRE_SERVERS):
            pytest.fail(reason)
        pytest.skip(reason)
    return JAVASCRIPT
