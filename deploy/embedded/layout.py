"""The layout of a stack's directory, and the environment of its servers.

DIRECTORY/         mode 0700, and so is everything in it
  logs/       one file per process
  redis/      append-only file
  postgres/   cluster
  swift/      etc (configuration, rings), srv (objects), run
  keystone/   database, keys
  temp/       the temp volume of a gateway and its workers
  store/      the objects of the store `filesystem`

passwords.json holds the servers' passwords. `sluice up` adds env.sh: the servers' addresses as shell variables, while
it runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths below one directory. `make` is idempotent and keeps the data of an earlier stack."""

    directory: Path

    def make(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.temp.mkdir(mode=0o700, exist_ok=True)

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def temp(self) -> Path:
        return self.directory / "temp"

    @property
    def store(self) -> Path:
        return self.directory / "store"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def server_environment(self) -> dict[str, str]:
        """Inherits only PATH and LD_LIBRARY_PATH: proxies, PYTHONPATH and PG* variables must have no effect."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        return {"PATH": os.defpath, "HOME": str(self.directory), "LANG": "C.UTF-8", **kept}
