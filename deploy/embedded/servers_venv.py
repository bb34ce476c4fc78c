"""The virtual environment that Swift and Keystone live in, apart from Sluice's own: their pins and ours do not agree.

Named by SLUICE_SERVERS_VENV; by default `servers` below the environment that runs this (`.venv/servers`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.embedded.errors import StackError

_INSIDE = Path(__file__).parent / "inside"


def servers_python() -> Path:
    """Its interpreter. Raises StackError, with the way to make it, when it is not there."""
    environment = Path(os.environ.get("SLUICE_SERVERS_VENV") or Path(sys.prefix) / "servers")
    python = environment / "bin" / "python"
    if not python.exists() or not any(environment.glob("lib/python*/site-packages/swift/__init__.py")):
        raise StackError(
            f"Swift is not installed in {environment}. `make setup` makes the servers' environment"
            " (`make setup-servers` it alone); SLUICE_SERVERS_VENV names another one,"
            " and SLUICE_SWIFT_AUTH_URL names a Swift of your own."
        )
    return python


def servers_command(script: str, *arguments: str) -> list[str]:
    """Runs one of the scripts in `inside/`, isolated from the caller's PYTHON* variables and user packages."""
    return [str(servers_python()), "-I", str(_INSIDE / script), *arguments]
