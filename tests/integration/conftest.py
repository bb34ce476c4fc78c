"""What tests of the embedded stack must not find in their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def no_servers_of_the_callers_own() -> Iterator[None]:
    """For tests about servers that a stack starts, whatever the shell that runs them has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("SLUICE_") and name != "SLUICE_SERVERS_VENV":
                patch.delenv(name)
        yield
