"""A file whose reader gets a limited number of bytes.

Guarantee: after `allow(n)` at most about `n` bytes are read; then the file seems to end, so that a demuxer that
searches through all of it stops. There is no limit before the first call.
"""

from __future__ import annotations

from typing import BinaryIO


class Metered:
    """`file` with a limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left_bytes: int | None = None

    def allow(self, count: int | None) -> None:
        """From now on, `count` bytes may be read; None: any number."""
        self._left_bytes = count

    @property
    def exhausted(self) -> bool:
        return self._left_bytes is not None and self._left_bytes <= 0

    def read(self, count: int = -1) -> bytes:
        if self.exhausted:
            return b""
        content = self._file.read(count)
        if self._left_bytes is not None:
            self._left_bytes -= len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
