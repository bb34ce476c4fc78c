"""Where the programs of a run are: `sluice` itself, and clients that the wheels contain: redis-cli, psql, swift."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from deploy.embedded import StackError
from deploy.embedded.postgres import postgres_package
from deploy.embedded.redis import redis_server_path
from deploy.embedded.servers_venv import servers_python


def program_directories() -> list[Path]:
    """Directories for the end of PATH. A part that is not installed is left out."""
    finders: tuple[Callable[[], Path], ...] = (
        lambda: Path(sys.executable).parent,
        lambda: Path(redis_server_path()).parent,
        lambda: postgres_package() / "pginstall/bin",
        lambda: servers_python().parent,
    )
    found: list[Path] = []
    for find in finders:
        try:
            found.append(find())
        except StackError:
            continue
    return found


def swift_client() -> str:
    """The `swift` command of the servers' environment, else the one on PATH."""
    try:
        installed = servers_python().parent / "swift"
    except StackError:
        return "swift"
    return str(installed) if installed.exists() else "swift"
