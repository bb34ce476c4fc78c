"""The environment file of a run of `sluice up`: `. DIRECTORY/env.sh` makes a shell use the run's servers.

It exports every SLUICE_* variable of the run's processes, so that `sluice doctor`, `sluice recover` and `sluice upload`
need no options, and appends the directories of `sluice`, redis-cli, psql and swift to PATH, so that a program of the
system takes precedence.

Guarantee: only its owner may read the file, at any moment, since it holds passwords. It is removed when the run ends.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NAME = "env.sh"


@contextmanager
def environment_file(directory: Path, variables: Mapping[str, str], programs: Iterable[Path]) -> Iterator[Path]:
    """The path of the file, which exists while the block runs. `programs`: directories for PATH."""
    path = directory / NAME
    path.unlink(missing_ok=True)  # of a killed run; its mode is not known
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(_text(variables, programs))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _text(variables: Mapping[str, str], programs: Iterable[Path]) -> str:
    lines = ["# The servers of a running `sluice up`. Use it with:  . env.sh"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    directories = ":".join(shlex.quote(str(directory)) for directory in programs)
    return "\n".join([*lines, f'export PATH="$PATH":{directories}', ""])
