"""What temp files of uploads occupy on the disk: the blocks that hold their bytes, and those of the filesystem's maps.

A filesystem keeps the map of a file's extents in its inode while they are few, and in blocks of its own otherwise: ext4
above 4 extents, in blocks of up to 340; XFS above about 18, in blocks of up to 250. `st_blocks` counts these too. No
reservation does: how many extents a file has depends on how fragmented the disk is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_FIEMAP = 0xC020660B  # FS_IOC_FIEMAP of <linux/fs.h>
_HEAD = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQ16xL12x")
_EXTENTS = 1_000
_LAST = 1  # FIEMAP_EXTENT_LAST
_SECTOR_BYTES = 512
# A range that leaves the disk, and another one that is allocated, between the blocks and the extents look like a map.
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Occupied:
    """Bytes on the disk: `data_bytes` hold bytes of files or are allocated for them, `map_bytes` say where these
    are."""

    data_bytes: int = 0
    map_bytes: int = 0


def occupied(path: Path) -> Occupied:
    """What one file occupies; nothing if it does not exist. A filesystem that does not list extents, such as tmpfs, has
    no blocks but those of the data."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Occupied()
    try:
        return min((_occupied(fd) for _ in range(_LOOKS)), key=lambda look: look.map_bytes)
    finally:
        os.close(fd)


def _occupied(fd: int) -> Occupied:
    before = os.fstat(fd).st_blocks * _SECTOR_BYTES
    data_bytes = _data_bytes(fd)
    total = min(before, os.fstat(fd).st_blocks * _SECTOR_BYTES)
    if data_bytes is None:
        return Occupied(total)
    return Occupied(data_bytes, max(0, total - data_bytes))


def occupied_by_uploads(directory: Path) -> tuple[Occupied, int]:
    """What the temp files of uploads occupy, and how many there are. An upload's id is a UUID; other temp files exist
    for a moment only, to try something on the disk."""
    files = [occupied(path) for path in directory.glob("*-*.data")]
    data_bytes, map_bytes = sum(file.data_bytes for file in files), sum(file.map_bytes for file in files)
    return Occupied(data_bytes, map_bytes), len(files)


def _data_bytes(fd: int) -> int | None:
    """The length of all extents together; None: this filesystem does not list them."""
    start = total = 0
    while True:
        buffer = bytearray(_HEAD.size + _EXTENTS * _EXTENT.size)
        _HEAD.pack_into(buffer, 0, start, 2**64 - 1 - start, 0, 0, _EXTENTS, 0)
        try:
            fcntl.ioctl(fd, _FIEMAP, buffer)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS):
                return None
            raise
        count = _HEAD.unpack_from(buffer)[3]
        flags = _LAST
        for index in range(count):
            logical, _, length, flags = _EXTENT.unpack_from(buffer, _HEAD.size + index * _EXTENT.size)
            total, start = total + length, logical + length
        if flags & _LAST:
            return total
