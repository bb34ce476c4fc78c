"""Walks the elements of a Matroska or WebM file (RFC 8794), reading only headers.

Guarantee: a `Walk` visits at most `limit` elements in all, whatever levels they are on; no recursion; any bytes give a
result.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from pipeline.adapters.media.inside.iso_boxes import read_at

_UNKNOWN_LENGTHS = frozenset((1 << 7 * length) - 1 for length in range(1, 9))


class Element(NamedTuple):
    """An element: its number with the marker, and where its content begins and ends."""

    number: int
    start: int
    end: int


class Walk:
    """Elements of `file`, with a limit on how many are visited."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self.left = limit

    def elements(self, start: int, end: int) -> Iterator[Element]:
        """Those between two offsets. One of unknown length reaches to `end`."""
        at = start
        while at < end and self.left > 0:
            self.left -= 1
            head = read_at(self._file, at, 16)
            number, after = vint(head, 0, keep_marker=True)
            length, after = vint(head, after, keep_marker=False)
            if number < 0 or length < 0:
                return
            start = at + after
            at = end if head[after - 1 : after] == b"\xff" and length in _UNKNOWN_LENGTHS else start + length
            yield Element(number, start, min(at, end))

    def unsigned(self, element: Element) -> int:
        """The value of an unsigned integer."""
        return int.from_bytes(read_at(self._file, element.start, min(8, element.end - element.start)), "big")

    def floating(self, element: Element) -> float:
        """The value of a floating point number; 0 if it has none."""
        data = read_at(self._file, element.start, min(8, element.end - element.start))
        form = {4: ">f", 8: ">d"}.get(len(data))
        return float(struct.unpack(form, data)[0]) if form else 0.0


def vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A variable-size integer and the offset after it; -1 if there is none."""
    if at >= len(data) or data[at] == 0:
        return -1, at + 1
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        return -1, at + length
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length
