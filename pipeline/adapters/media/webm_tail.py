"""Finds the time of the last packet of a WebM or Matroska file without a duration, as browser recorders write them.

Guarantee: reads at most the first 64 KiB and the last 16 MiB, decodes nothing, and returns seconds or None for any
bytes. ffprobe cannot do this: such files also lack an index, so it would read the whole file, which takes minutes for a
long recording on a busy disk.

A cluster (RFC 9559, 5.1.3) begins with its timestamp, in units of the segment's TimestampScale. Each block in it has a
signed 16-bit offset to that timestamp. The last cluster with a readable block gives the time, even if it is cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 16 * 1024 * 1024
_MAX_CANDIDATES = 64
_CLUSTER = b"\x1f\x43\xb6\x75"
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
_TIMESTAMP_SCALE = b"\x2a\xd7\xb1"
_INSIDE_CLUSTER = {_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, 0xA7, 0xAB, 0xA4, 0xAF, 0xEC, 0xBF, 0x5854}


def last_packet_seconds(file: BinaryIO) -> float | None:
    """The time of the last packet, in seconds; None if there is no cluster."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    start = max(0, size - _TAIL_BYTES)
    file.seek(start)
    tail = file.read(_TAIL_BYTES)
    scale_nanoseconds = _unsigned(head, _TIMESTAMP_SCALE) or 1_000_000
    at = len(tail)
    for _ in range(_MAX_CANDIDATES):
        at = tail.rfind(_CLUSTER, 0, at)
        if at < 0:
            return None
        if (ticks := _cluster_end(tail, at + 4)) is not None:
            return ticks * scale_nanoseconds / 1e9
    return None


def _cluster_end(data: bytes, at: int) -> int | None:
    """The largest time in the cluster whose size field is at `at`, in ticks; None if these bytes only resemble a
    cluster."""
    _, at = _vint(data, at, keep_marker=False)
    base: int | None = None
    latest: int | None = None
    for element, begin, end in _elements(data, at, len(data)):
        if element not in _INSIDE_CLUSTER:
            break
        if element == _TIMESTAMP:
            base = int.from_bytes(data[begin : min(end, begin + 8)], "big")
        elif base is None:
            return None
        elif element == _SIMPLE_BLOCK:
            latest = max(latest or 0, base + _block_offset(data, begin))
        elif element == _BLOCK_GROUP:
            for inner, inner_begin, _ in _elements(data, begin, min(end, len(data))):
                if inner == _BLOCK:
                    latest = max(latest or 0, base + _block_offset(data, inner_begin))
    return latest


def _elements(data: bytes, at: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """Id, and start and end of the content, of each element (RFC 8794, 5 and 6)."""
    while at < limit:
        element, at = _vint(data, at, keep_marker=True)
        length, at = _vint(data, at, keep_marker=False)
        if element < 0 or length < 0:
            return
        yield element, at, at + length
        at += length


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A variable-size integer and the offset after it; -1 if there is none."""
    if at >= len(data) or data[at] == 0:
        return -1, at + 1
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        return -1, at + length
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length


def _block_offset(data: bytes, at: int) -> int:
    _, at = _vint(data, at, keep_marker=False)  # the track's number
    return int.from_bytes(data[at : at + 2], "big", signed=True)


def _unsigned(head: bytes, element: bytes) -> int | None:
    """The value of the first unsigned integer element with this id."""
    at = head.find(element)
    if at < 0:
        return None
    length, at = _vint(head, at + len(element), keep_marker=False)
    return int.from_bytes(head[at : at + length], "big") if 1 <= length <= 8 else None
