"""Helpers of the adapters to a local disk: run blocking work in threads, and translate OSError."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import TempVolumeError
from pipeline.telemetry import VOLUME_ERRORS

T = TypeVar("T")
# FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>
_KEEP_SIZE = 1
_PUNCH_HOLE = 2
UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
"""What fallocate(2) fails with where the filesystem does not support it."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate an OSError into TempVolumeError TEMP_FILE_MISSING, TEMP_VOLUME_FULL, TEMP_VOLUME_FAILED, or
    DESCRIPTORS_EXHAUSTED, which says nothing about the volume."""
    try:
        yield
    except FileNotFoundError as error:
        if (missing := _missing_directory(error)) is not None:
            VOLUME_ERRORS.labels("TEMP_VOLUME_FAILED").inc()
            raise TempVolumeError("TEMP_VOLUME_FAILED", reason=f"{missing} does not exist") from error
        raise TempVolumeError("TEMP_FILE_MISSING") from error
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise TempVolumeError("DESCRIPTORS_EXHAUSTED") from error
        code = "TEMP_VOLUME_FULL" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "TEMP_VOLUME_FAILED"
        VOLUME_ERRORS.labels(code).inc()
        raise TempVolumeError(code, reason=os.strerror(error.errno or 0)) from error


def _missing_directory(error: FileNotFoundError) -> str | None:
    """The directory that would hold the file, or that was asked about (`itself`), if that is missing: then nothing is
    known about the file."""
    directory = os.path.dirname(error.filename or "")
    return directory if directory and not os.path.isdir(directory) else None


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread. Raises TempVolumeError (see `translated`)."""

    def translated_work() -> T:
        with translated():
            return work()

    return await asyncio.to_thread(translated_work)


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file of the temp volume, readable by its user only where it is created. Follows no
    link and never blocks. Raises OSError; TempVolumeError TEMP_VOLUME_FAILED for what is no regular file."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link; a FIFO or a socket
            raise
        raise _irregular(path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return descriptor


def _irregular(path: Path) -> TempVolumeError:
    VOLUME_ERRORS.labels("TEMP_VOLUME_FAILED").inc()
    return TempVolumeError("TEMP_VOLUME_FAILED", reason=f"{path.name} is no regular file")


def fallocate(descriptor: int, size_bytes: int, *, offset: int = 0, keep_size: bool = False) -> None:
    """Call fallocate(2); with `keep_size` the file's length does not change. Unlike it, the C library's posix_fallocate
    silently writes zeros where a filesystem does not support the call.

    Raises OSError: EOPNOTSUPP where the filesystem does not support it, ENOSPC.
    """
    _fallocate(descriptor, _KEEP_SIZE if keep_size else 0, offset, size_bytes)


def punch_hole(descriptor: int, offset: int, size_bytes: int) -> None:
    """Remove a range's whole blocks from the disk, and set the rest of it to zeros. The file keeps its length.

    Raises OSError: EOPNOTSUPP where the filesystem does not support it.
    """
    _fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, offset, size_bytes)


def _fallocate(descriptor: int, mode: int, offset: int, size_bytes: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while call(descriptor, mode, offset, size_bytes) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def itself(directory: Path) -> str:
    """The path of a directory for calls that concern it and no file in it, so that `translated` tells the two apart."""
    return os.path.join(directory, "")


def sync_directory(directory: Path) -> None:
    """Flush `directory`, so that names created in it survive a power failure."""
    fd = os.open(itself(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
