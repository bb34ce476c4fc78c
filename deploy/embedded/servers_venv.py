"""The virtual environment of Swift and Keystone. It is separate from Sluice's own because their pins conflict.

SLUICE_SERVERS_VENV names it; the default is `servers` below the environment that runs this (`.venv/servers`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.embedded.errors import StackError

_INSIDE = Path(__file__).parent / "inside"


def servers_python() -> Path:
    """Its interpreter. Raises StackError, with the command that creates it, when it does not exist."""
    environment = Path(os.environ.get("SLUICE_SERVERS_VENV") or Path(sys.prefix) / "servers")
    python = environment / "bin" / "python"
    if not python.exists() or not any(environment.glob("lib/python*/site-packages/swift/__init__.py")):
        raise StackError(
            f"Swift is not installed in {environment}. Create that environment with `make setup` or"
            " `make setup-servers`, set SLUICE_SERVERS_VENV to another one,"
            " or set SLUICE_SWIFT_AUTH_URL to use a Swift of your own."
        )
    return python


def servers_command(script: str, *arguments: str) -> list[str]:
    """The command for a script in `inside/`, isolated from the caller's PYTHON* variables and user packages."""
    return [str(servers_python()), "-I", str(_INSIDE / script), *arguments]
