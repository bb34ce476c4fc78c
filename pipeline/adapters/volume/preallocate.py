"""Preallocates temp files: a file appears under its name at its full length, or not at all.

Guarantee: when several processes preallocate the same file at the same time, one of them does and all of them see the
complete file. A file that already has its final name is never removed, because another process may be writing to it.
The bytes are allocated once, never by two callers in parallel, so a call does not fail on a nearly full disk because
of a second call for the same file.

How: the process that holds a lock on a private file beside the final name (flock, which the kernel releases when the
process dies) allocates every byte in it and then renames it. The next caller reuses a private file that a crash has
left. If there is no next caller, the file is listed as the temp file of an unknown upload and removed as such.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.adapters.volume.disk import open_regular

_PRIVATE = "~"
_PAGE = b"\0" * 4096


def preallocate(path: Path, size_bytes: int) -> int:
    """Create `path` with its full length, keeping bytes that are written there already; returns how many bytes the disk
    has allocated for it. Idempotent. Raises OSError; after ENOSPC no file is left."""
    while (backed_bytes := _allocated(path, size_bytes)) is None:
        with _private_file(path) as (fd, private):
            if path.exists():  # created while this call waited for the lock, or of the wrong length
                _correct_length(path, size_bytes)
            else:
                _fill(fd, size_bytes)
                if _is_named(fd, private):  # false if it took so long that it was removed as orphaned: start again
                    private.rename(path)
    return backed_bytes


def private_name(path: Path) -> Path:
    """The name of `path` while it is being allocated. It has the suffix of temp files, so that it is listed as one."""
    return path.with_name(f"{path.stem}{_PRIVATE}{path.suffix}")


def _allocated(path: Path, size_bytes: int) -> int | None:
    """Bytes that the disk has allocated for the file; None: it does not exist, or has another length."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return None
    return facts.st_blocks * 512 if facts.st_size == size_bytes else None


@contextmanager
def _private_file(path: Path) -> Iterator[tuple[int, Path]]:
    """Hold the private file exclusively, as (descriptor, path). It is removed afterwards unless it was renamed."""
    private = private_name(path)
    while True:
        fd = open_regular(private, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is_named(fd, private):  # the previous holder has renamed or removed it
                continue
            try:
                yield fd, private
            finally:
                if _is_named(fd, private):
                    private.unlink()
            return
        finally:
            os.close(fd)


def _is_named(fd: int, private: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), private.lstat())
    return False


def _fill(fd: int, size_bytes: int) -> None:
    """Allocate every byte, and write one page: a disk that allocates bytes but accepts none must not be used."""
    if size_bytes:
        os.posix_fallocate(fd, 0, size_bytes)
        os.pwrite(fd, _PAGE[:size_bytes], 0)
    os.ftruncate(fd, size_bytes)  # a process that died may have left another length


def _correct_length(path: Path, size_bytes: int) -> None:
    """Cut or extend the file in place. If that loses bytes of a segment, the segment's digest reveals it."""
    fd = open_regular(path, os.O_RDWR)
    try:
        if size_bytes:
            os.posix_fallocate(fd, 0, size_bytes)
        os.ftruncate(fd, size_bytes)
    finally:
        os.close(fd)


def probe(path: Path) -> None:
    """Write a page to a new file `path` and remove it. Raises OSError when the disk does not accept bytes."""
    fd = open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(fd, _PAGE, 0)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)
