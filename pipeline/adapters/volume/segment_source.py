"""One segment of a temp file, to be sent to the store. Implements `ports.SegmentSource`.

Guarantee: every read is checked against the crc32c taken on arrival, before its last block is returned. No call
to the disk is made in the event loop.

One call into a thread reads and digests several blocks: the way there and back costs more than reading one. The blocks
are small, so that each is still in the processor's cache when it is digested, and so that malloc keeps their memory:
it maps larger ones anew each time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import google_crc32c

from pipeline.adapters.volume.disk import in_thread, open_regular
from pipeline.core.errors import SegmentCorrupt
from pipeline.ports import Hash

_BLOCK_BYTES = 256 * 1024
_BLOCKS_PER_CALL = 4


class FileSegmentSource:
    """One segment of a temp file. Implements `ports.SegmentSource`."""

    def __init__(self, path: Path, number: int, offset: int, size_bytes: int, crc32c: int, md5_hex: str = "") -> None:
        self._path = path
        self._number = number
        self._offset = offset
        self._size_bytes = size_bytes
        self._crc32c = crc32c
        self._md5_hex = md5_hex

    @property
    def number(self) -> int:
        return self._number

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def crc32c(self) -> int:
        return self._crc32c

    @property
    def md5_hex(self) -> str:
        return self._md5_hex

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        fd = await in_thread(lambda: open_regular(self._path, os.O_RDONLY))
        try:
            running = 0
            done = 0
            while done < self._size_bytes:
                wanted = min(_BLOCKS_PER_CALL * _BLOCK_BYTES, self._size_bytes - done)
                position = self._offset + done
                blocks, running = await in_thread(partial(_read, fd, position, wanted, running, hashes))
                count = sum(map(len, blocks))
                done += count
                if count < wanted or (done == self._size_bytes and running != self._crc32c):
                    raise SegmentCorrupt(self._number)
                for block in blocks:
                    yield block
        finally:
            # A disk that hangs may keep `close` waiting too. Shielded: it runs even if this task is cancelled again.
            await asyncio.shield(in_thread(partial(os.close, fd)))


def extended_crc32c(path: Path, offset: int, size_bytes: int, running: int) -> int | None:
    """`running` extended over a range of a file; None where the file is shorter. Raises OSError, TempVolumeError."""
    fd = open_regular(path, os.O_RDONLY)
    try:
        for done in range(0, size_bytes, _BLOCK_BYTES):
            wanted = min(_BLOCK_BYTES, size_bytes - done)
            block = os.pread(fd, wanted, offset + done)
            if len(block) < wanted:
                return None
            running = google_crc32c.extend(running, block)
    finally:
        os.close(fd)
    return running


def _read(fd: int, position: int, wanted: int, running: int, hashes: Sequence[Hash]) -> tuple[list[bytes], int]:
    """Blocks from `position` on, fewer where the file ends, and the crc32c extended over them."""
    blocks: list[bytes] = []
    for done in range(0, wanted, _BLOCK_BYTES):
        block = os.pread(fd, min(_BLOCK_BYTES, wanted - done), position + done)
        running = google_crc32c.extend(running, block)
        for item in hashes:
            item.update(block)
        blocks.append(block)
    return blocks, running
