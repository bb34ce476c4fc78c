"""A file composed of parts of another, and of replaced bytes, so that libavformat reads only some of it.

Guarantee: read-only; bytes outside the given parts are never requested.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import BinaryIO, cast

Part = bytes | tuple[int, int]
"""Bytes as they are, or the offset and length of a stretch of the file."""


class _View(io.RawIOBase):
    """The `parts` of `file` one after the other."""

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        super().__init__()
        self._file = file
        self._parts = [part for part in parts if _length(part) > 0]
        self._starts: list[int] = []
        self._size = 0
        for part in self._parts:
            self._starts.append(self._size)
            self._size += _length(part)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._at >= self._size:
            return b""
        number = bisect_right(self._starts, self._at) - 1
        part, within = self._parts[number], self._at - self._starts[number]
        length = _length(part) - within
        if size >= 0:
            length = min(length, size)
        if isinstance(part, bytes):
            data = part[within : within + length]
        else:
            self._file.seek(part[0] + within)
            data = self._file.read(length)
        self._at += len(data)
        return data


def view(file: BinaryIO, parts: Sequence[Part]) -> BinaryIO:
    """The `parts` of `file` one after the other."""
    return cast(BinaryIO, _View(file, parts))  # read, seek and tell are what it has of one


def patched(file: BinaryIO, size_bytes: int, changes: Sequence[tuple[int, bytes]]) -> BinaryIO:
    """The whole file with bytes replaced at offsets, which ascend."""
    parts: list[Part] = []
    at = 0
    for offset, data in changes:
        parts += [(at, offset - at), data]
        at = offset + len(data)
    return view(file, [*parts, (at, size_bytes - at)])


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1]
