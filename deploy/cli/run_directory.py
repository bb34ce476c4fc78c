"""The directory in which one `sluice up` keeps all its files.

Guarantee: two runs never share a directory: each holds a lock, which the kernel releases when its process dies. A
directory is emptied or deleted only if a run created it. Without --directory, each run creates its own directory below
./.sluice and deletes it at its end; the next run deletes what a killed run left there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Final, Self

import click

BASE: Final = Path(".sluice")

_LOCK = "lock"
_MADE_BY_US = "made-by-sluice"
_KEEP = "keep"


class RunDirectory:
    """A directory that this run holds until `close`."""

    def __init__(self, path: Path, lock: int, *, throw_away: bool) -> None:
        self.path = path
        self.throw_away = throw_away
        self._lock = lock

    @classmethod
    def named(cls, path: Path, *, fresh: bool) -> Self:
        """The directory that the user named. Its data is used again, or deleted first with `fresh`.

        Raises ClickException when another run holds it, or when it has content that no run created.
        """
        path = path.absolute()
        if path.exists() and not path.is_dir():
            raise click.ClickException(f"{path} is not a directory.")
        made_by_us = (path / _MADE_BY_US).exists()
        if not made_by_us and path.exists() and any(path.iterdir()):
            raise click.ClickException(f"{path} contains other files. Name a new or an empty directory.")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _try_lock(path)
        if lock is None:
            raise click.ClickException(f"Another `sluice up` ({_holder(path)}) is running in {path}.")
        if fresh:
            _empty(path)
        (path / _MADE_BY_US).touch()
        return cls(path, lock, throw_away=False)

    @classmethod
    def of_its_own(cls, base: Path = BASE, *, keep: bool) -> Self:
        """A new directory for this run alone, deleted at its end unless `keep`."""
        base = base.absolute()
        base.mkdir(parents=True, exist_ok=True)
        sweep(base)
        path = base / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        path.mkdir(mode=0o700)
        lock = _try_lock(path)
        if lock is None:
            raise click.ClickException(f"Another process is using {path}.")
        if keep:
            (path / _KEEP).touch()
        (path / _MADE_BY_US).touch()
        return cls(path, lock, throw_away=not keep)

    def close(self, *, leave: bool = False) -> None:
        """Release the directory, and delete it if it is temporary; with `leave` it stays for inspection."""
        if self.throw_away and not leave:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(base: Path) -> None:
    """Delete the directories of killed runs: those that a run created, that no run holds and that need not be kept."""
    for path in base.glob("run-*"):
        if (path / _KEEP).exists() or not (path / _MADE_BY_US).exists():
            continue
        lock = _try_lock(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # another run has deleted it meanwhile
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.truncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()}\n".encode())
    return descriptor


def _holder(path: Path) -> str:
    return (path / _LOCK).read_text().strip() or "starting"


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name in (_LOCK, _MADE_BY_US):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
