"""Temp files that are not on the disk as a whole: ranges are allocated and removed one by one.

Guarantee: a hole never changes a byte beside it. The whole blocks of a range leave the disk, and the last block of the
file with its last byte. A block that it shares with other bytes stays. The ledger gives back the same: see
`core.windows.room_bytes`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.adapters.volume.disk import UNSUPPORTED, fallocate, open_regular, punch_hole
from pipeline.core.errors import TempVolumeError
from pipeline.core.windows import BLOCK_BYTES

_PROBE_BYTES = 64 * 1024
CANNOT_PUNCH = "its filesystem cannot remove ranges of a file (FALLOC_FL_PUNCH_HOLE)"


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR) -> Iterator[int]:
    fd = open_regular(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def create_sparse(path: Path, size_bytes: int) -> None:
    """Create `path` with its full length and no bytes. An existing file keeps its bytes, up to that length.
    Idempotent. Raises OSError."""
    with _opened(path, os.O_RDWR | os.O_CREAT) as fd:
        if os.fstat(fd).st_size != size_bytes:
            os.ftruncate(fd, size_bytes)


def allocate_range(path: Path, offset: int, size_bytes: int) -> None:
    """Allocate the bytes of a range; written bytes stay. Idempotent. Raises OSError: ENOENT, ENOSPC."""
    if size_bytes:
        with _opened(path) as fd:
            fallocate(fd, size_bytes, offset=offset, keep_size=True)


def punch(path: Path, ranges: Sequence[tuple[int, int]]) -> None:
    """Remove ranges (offset, size) from the disk. Idempotent. Raises OSError; TempVolumeError TEMP_VOLUME_FAILED where
    the filesystem cannot do it."""
    try:
        with _opened(path) as fd:
            facts = os.fstat(fd)
            for offset, size_bytes in _merged(ranges):
                end = offset + size_bytes
                beyond = -end % max(BLOCK_BYTES, facts.st_blksize) if end >= facts.st_size else 0
                punch_hole(fd, offset, size_bytes + beyond)  # a filesystem keeps a block that is not punched as a whole
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason=CANNOT_PUNCH) from error


def shorten(path: Path, size_bytes: int) -> None:
    """Cut a file off at a length, unless it is shorter. Idempotent. Raises OSError."""
    with _opened(path) as fd:
        if os.fstat(fd).st_size > size_bytes:
            os.ftruncate(fd, size_bytes)


def can_punch(path: Path) -> bool:
    """Whether the filesystem removes a range of a file from the disk, and allocates one again within the file. Tries it
    on a new file `path`. Raises OSError."""
    try:
        with _opened(path, os.O_RDWR | os.O_CREAT) as fd:
            fallocate(fd, _PROBE_BYTES)
            os.pwrite(fd, b"\xff" * _PROBE_BYTES, 0)
            before = os.fstat(fd).st_blocks
            punch_hole(fd, 0, _PROBE_BYTES)
            is_removed = os.fstat(fd).st_blocks < before and not any(os.pread(fd, _PROBE_BYTES, 0))
            fallocate(fd, _PROBE_BYTES, keep_size=True)  # as `allocate_range` does for a segment that is sent again
            return is_removed
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    finally:
        path.unlink(missing_ok=True)


def read(path: Path, offset: int, size_bytes: int) -> bytes:
    """Bytes of a file. Raises OSError: ENOENT also where the file is shorter."""
    parts: list[bytes] = []
    with _opened(path, os.O_RDONLY) as fd:
        while size_bytes and (part := os.pread(fd, size_bytes, offset)):
            parts.append(part)
            offset += len(part)
            size_bytes -= len(part)
    if size_bytes:
        raise FileNotFoundError(errno.ENOENT, "the file is shorter", str(path))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _merged(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Adjacent and overlapping ranges as one, so that a block between two of them is removed as a whole."""
    start, end = 0, 0
    for offset, size_bytes in sorted(item for item in ranges if item[1]):
        if offset > end:
            if end > start:
                yield start, end - start
            start, end = offset, offset + size_bytes
        else:
            end = max(end, offset + size_bytes)
    if end > start:
        yield start, end - start
