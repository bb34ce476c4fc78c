"""Atomic file writes, and the translation of a filesystem's errors.

Guarantee: a file appears under its name whole or not at all (it is written elsewhere on the same filesystem, then
renamed). With `fsync` its bytes are on the disk before it appears, and its name before the call returns.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.core.errors import StoreError, StoreUnavailable


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Translate OSError: a missing permission is permanent (STORE_REJECTED), a full or failing disk may recover
    (StoreUnavailable)."""
    try:
        yield
    except PermissionError as error:
        raise StoreError("STORE_REJECTED", reason=f"{what}: {error.strerror}") from error
    except OSError as error:
        raise StoreUnavailable(reason=f"{what}: {error.strerror or error}") from error


class Draft:
    """A file being written. `publish` gives it a name; `discard` removes it."""

    def __init__(self, incoming: Path, fsync: bool) -> None:
        incoming.mkdir(parents=True, exist_ok=True)
        self._path = incoming / uuid.uuid4().hex
        self._fsync = fsync
        self._file: BinaryIO = self._path.open("xb")

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def publish(self, path: Path) -> None:
        self._file.flush()
        if self._fsync:
            os.fsync(self._file.fileno())
        self._file.close()
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(self._path, path)
            except FileNotFoundError:
                if not self._path.exists():
                    raise
                continue  # an abort has just removed the directory
            break
        if self._fsync:
            _sync_directory(path.parent)

    def discard(self) -> None:
        """Idempotent; does nothing after `publish`."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def md5_of_file(path: Path) -> tuple[int, str]:
    """Length and MD5 of the file's current bytes. Raises FileNotFoundError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return file.tell(), digest.hexdigest()


class Digests:
    """The MD5s of files, each computed once for what the file contains. Safe to use in several threads."""

    _MOST = 256
    # A file that is written to twice within a tick of the kernel's clock has the same times after both.
    _SETTLED_SECONDS = 1.0

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def md5(self, path: Path) -> str:
        """Raises FileNotFoundError."""
        state = _state(path)
        known = self._known.get(state)
        if known is not None:
            return known
        _, digest = md5_of_file(path)
        if _state(path) == state and time.time() - path.stat().st_ctime > self._SETTLED_SECONDS:
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[state] = digest
        return digest


def _state(path: Path) -> tuple[int, ...]:
    """Another one whenever the file was written to or replaced."""
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def remove_empty_directories(path: Path, up_to: Path) -> None:
    """Remove `path` and its parents while they are empty, up to but not including `up_to`."""
    while path != up_to and up_to in path.parents:
        try:
            path.rmdir()
        except OSError:
            return
        path = path.parent


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
