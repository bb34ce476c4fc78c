"""Walks the boxes of an ISO base media file (ISO/IEC 14496-12, 4.2), reading only headers.

Guarantee: at most `limit` boxes per level, no recursion, and no exception for any bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_BOXES = 4096
_MAX_OFFSET = 2**62


class Box(NamedTuple):
    """A box: its four letters, and where its content begins and ends."""

    name: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int, limit: int = MAX_BOXES) -> Iterator[Box]:
    """The boxes between two offsets, until one whose length cannot be right."""
    at = start
    for _ in range(limit):
        if at + 8 > end:
            return
        head = read_at(file, at, 16)
        if len(head) < 8:
            return
        length, name, content = int.from_bytes(head[:4], "big"), head[4:8], at + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16], "big"), at + 16
        elif length == 0:  # to the end
            length = end - at
        if at + length < content:
            return
        yield Box(name, content, min(at + length, end))
        at += length


def find(file: BinaryIO, start: int, end: int, *path: bytes) -> Box | None:
    """The first box of each name, each within the one before."""
    found: Box | None = None
    for name in path:
        found = next((box for box in boxes(file, start, end) if box.name == name), None)
        if found is None:
            return None
        start, end = found.start, found.end
    return found


def content(file: BinaryIO, box: Box, limit: int) -> bytes:
    """At most `limit` bytes of the box's content."""
    return read_at(file, box.start, min(limit, box.end - box.start))


def read_at(file: BinaryIO, at: int, length: int) -> bytes:
    """Up to `length` bytes from `at`; fewer only at the end of the file."""
    if at > _MAX_OFFSET:  # no file is that long, and `seek` refuses some of these
        return b""
    file.seek(at)
    parts: list[bytes] = []
    while length > 0 and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
