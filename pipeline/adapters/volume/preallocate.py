"""Sets the bytes of a temp file aside: the whole file appears at once under its name, or not at all.

Guarantee: however many processes prepare the same file at the same time, one of them does and all of them find it
whole; a file that has its name is never removed here, since somebody may be writing to it. Bytes are set aside once,
never by two callers side by side, so near a full disk nobody fails for the sake of a twin.

How: the file is made under a private name beside its own, by whoever holds the lock on that (flock, which the kernel
takes back from a process that dies), and renamed when every byte is there. What a crash leaves under the private name
is used by the next caller; if none comes, it is a temp file of an upload that nobody knows, and swept as one.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MAKING = "~"
_PROBE = b"\0" * 4096


def preallocate(path: Path, size_bytes: int) -> int:
    """Make `path` with its whole length; returns how many bytes the disk has set aside for it. Keeps what is written
    there. Idempotent. Raises OSError; ENOSPC leaves nothing behind."""
    while (backed_bytes := _whole(path, size_bytes)) is None:
        with _making(path) as (fd, private):
            if path.exists():  # it was made while we waited, or somebody has cut it off
                _mend(path, size_bytes)
            else:
                _fill(fd, size_bytes)
                if _is_named(fd, private):  # or it was swept: it took us that long
                    private.rename(path)
    return backed_bytes


def private_name(path: Path) -> Path:
    """Where `path` is while it is being made. Has the suffix of a temp file, so that it is listed as one."""
    return path.with_name(f"{path.stem}{_MAKING}{path.suffix}")


def _whole(path: Path, size_bytes: int) -> int | None:
    """Bytes set aside for a file of the right length; None: it is not there, or not whole."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return None
    return min(size_bytes, facts.st_blocks * 512) if facts.st_size == size_bytes else None


@contextmanager
def _making(path: Path) -> Iterator[tuple[int, Path]]:
    """Hold the private file alone; it is gone afterwards, unless its maker died."""
    private = private_name(path)
    while True:
        fd = os.open(private, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is_named(fd, private):  # whoever held it before has renamed or removed it
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
        return os.path.samestat(os.fstat(fd), private.stat())
    return False


def _fill(fd: int, size_bytes: int) -> None:
    """A page is written as well: a disk that sets bytes aside but does not take any must not be promised."""
    if size_bytes:
        os.posix_fallocate(fd, 0, size_bytes)
        os.pwrite(fd, _PROBE[:size_bytes], 0)
    os.ftruncate(fd, size_bytes)  # a maker that died may have meant it otherwise; equal, this does nothing


def _mend(path: Path, size_bytes: int) -> None:
    """A file of another length has its name: cut or extended where it is. What is lost of it the segments' digests
    tell."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if size_bytes:
            os.posix_fallocate(fd, 0, size_bytes)
        os.ftruncate(fd, size_bytes)
    finally:
        os.close(fd)


def probe(path: Path) -> None:
    """Whether a disk takes bytes: a page is written under the name `path` and removed. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, _PROBE, 0)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)
