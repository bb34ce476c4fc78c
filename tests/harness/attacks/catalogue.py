"""All attacks, by name."""

from __future__ import annotations

from tests.harness.attacks import files, kernel, processes
from tests.harness.attacks.calls import ATTACKS

__all__ = ["ATTACKS", "files", "kernel", "processes"]
