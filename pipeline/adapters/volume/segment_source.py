"""One segment of a temp file, to be sent to the store. Implements `ports.SegmentSource`.

Guarantee: every read is checked against the crc32c taken on arrival, before its last block is returned. No call
to the disk is made in the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import google_crc32c

from pipeline.adapters.volume.disk import in_thread, open_regular
from pipeline.core.errors import SegmentCorrupt

_BLOCK_BYTES = 1024 * 1024


class FileSegmentSource:
    """One segment of a temp file. Implements `ports.SegmentSource`."""

    def __init__(self, path: Path, number: int, offset: int, size_bytes: int, crc32c: int) -> None:
        self._path = path
        self._number = number
        self._offset = offset
        self._size_bytes = size_bytes
        self._crc32c = crc32c

    @property
    def number(self) -> int:
        return self._number

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        fd = await in_thread(lambda: open_regular(self._path, os.O_RDONLY))
        try:
            running = 0
            done = 0
            while done < self._size_bytes:
                wanted = min(_BLOCK_BYTES, self._size_bytes - done)
                position = self._offset + done
                block, running = await in_thread(partial(_read, fd, position, wanted, running))
                done += len(block)
                if len(block) < wanted or (done == self._size_bytes and running != self._crc32c):
                    raise SegmentCorrupt(self._number)
                yield block
        finally:
            # A disk that hangs may keep `close` waiting too. Shielded: it runs even if this task is cancelled again.
            await asyncio.shield(in_thread(partial(os.close, fd)))


def _read(fd: int, position: int, wanted: int, running: int) -> tuple[bytes, int]:
    block = os.pread(fd, wanted, position)
    return block, google_crc32c.extend(running, block)
