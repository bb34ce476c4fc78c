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

from pipeline.adapters.object_store.filesystem.beneath import Beneath
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
        raise StoreUnavailable(reason=f"{what}: {error.strerror or type(error).__name__}") from error


class Draft:
    """A file being written. `publish` gives it a name; `discard` removes it."""

    def __init__(self, files: Beneath, incoming: Path, fsync: bool) -> None:
        self._files = files
        self._path = incoming / uuid.uuid4().hex
        self._fsync = fsync
        self._file = files.create(self._path)

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def publish(self, path: Path) -> None:
        self._file.flush()
        if self._fsync:
            os.fsync(self._file.fileno())
        self._file.close()
        while True:
            try:
                self._files.replace(self._path, path, sync=self._fsync)
            except FileNotFoundError:
                if not self._files.has(self._path):
                    raise
                continue  # an abort has just removed the directory
            break

    def discard(self) -> None:
        """Idempotent; does nothing after `publish`."""
        self._file.close()
        self._files.unlink(self._path)


def md5_of_file(files: Beneath, path: Path) -> tuple[int, str]:
    """Length and MD5 of the file's current bytes. Raises FileNotFoundError."""
    with files.open(path) as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return file.tell(), digest.hexdigest()


def identity(facts: os.stat_result) -> str:
    """Another one whenever the file was written to or replaced. Needs no byte of it, however large it is."""
    return f"{facts.st_size:x}-{facts.st_mtime_ns:x}-{facts.st_ino:x}"


class Digests:
    """The MD5s of files, each computed once for what the file contains. Safe to use in several threads."""

    _MOST = 256
    # A file that is written to twice within a tick of the kernel's clock has the same times after both.
    _SETTLED_SECONDS = 1.0

    def __init__(self, files: Beneath) -> None:
        self._files = files
        self._known: dict[tuple[int, ...], str] = {}

    def md5(self, path: Path) -> str:
        """Raises FileNotFoundError."""
        state = _state(self._files.stat(path))
        known = self._known.get(state)
        if known is not None:
            return known
        _, digest = md5_of_file(self._files, path)
        facts = self._files.stat(path)
        if _state(facts) == state and time.time() - facts.st_ctime > self._SETTLED_SECONDS:
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[state] = digest
        return digest


def _state(facts: os.stat_result) -> tuple[int, ...]:
    """Another one whenever the file was written to or replaced."""
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
