"""A directory that all processes of one test session share, and work in it that one of them does for all."""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SESSION_DIRECTORY: Final = "TESTS_SESSION_DIRECTORY"
"""The variable that names the directory. pytest's controller sets it; every other process inherits it."""


@functools.cache
def session_directory() -> Path:
    """Exists as long as the session."""
    return Path(os.environ[SESSION_DIRECTORY])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The block runs in one process at a time; `path` is a file for this lock alone."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """`path`, a file made by whichever process of the session asks first: `make` gets the name to write to.

    The file appears under its name when it is complete.
    """
    if not path.exists():
        with locked(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                unfinished = path.with_name(f"{path.name}.unfinished")
                make(unfinished)
                unfinished.rename(path)
    return path
