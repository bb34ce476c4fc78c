"""What every adapter to a local disk shares: blocking work in threads, and the disk's errors as our own."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import TempVolumeError
from pipeline.telemetry import VOLUME_ERRORS

T = TypeVar("T")


@contextmanager
def translated() -> Iterator[None]:
    """Raises TempVolumeError TEMP_FILE_MISSING, TEMP_VOLUME_FULL or TEMP_VOLUME_FAILED for an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        raise TempVolumeError("TEMP_FILE_MISSING") from error
    except OSError as error:
        code = "TEMP_VOLUME_FULL" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "TEMP_VOLUME_FAILED"
        VOLUME_ERRORS.labels(code).inc()
        raise TempVolumeError(code, reason=os.strerror(error.errno or 0)) from error


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread. Raises as `translated`."""

    def translated_work() -> T:
        with translated():
            return work()

    return await asyncio.to_thread(translated_work)


def sync_directory(directory: Path) -> None:
    """A name that was made in `directory` is on the disk when this returns."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
