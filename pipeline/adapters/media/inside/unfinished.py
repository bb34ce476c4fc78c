"""Repairs the headers of recordings that were never finished, for libavformat to open them.

A recorder that cannot go back leaves 0 or the largest number where a length belongs. libavformat understands that in
WAV, AU and CAF, and refuses AIFF, Wave64 and RF64.
"""

from __future__ import annotations

from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.views import patched

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_HEAD_BYTES = 64 * 1024
_DS64_END = 48


def repaired(file: BinaryIO, size_bytes: int) -> BinaryIO:
    """A view of `file` with the lengths that it has, and a position of its own: libavformat reads on where it stopped,
    also when others have read elsewhere."""
    head = read_at(file, 0, 12)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC") and head[4:8] in (bytes(4), b"\xff\xff\xff\xff"):
        return _aiff(file, size_bytes)
    if head[:4] in (b"RF64", b"BW64"):
        return _rf64(file, size_bytes)
    if head == _W64_RIFF[:12]:
        return _w64(file, size_bytes)
    return patched(file, size_bytes, [])


def _aiff(file: BinaryIO, size_bytes: int) -> BinaryIO:
    """The sizes of FORM and SSND, and the number of sample frames in COMM (Audio IFF 1.3)."""
    head = read_at(file, 0, _HEAD_BYTES)
    changes = [(4, (size_bytes - 8).to_bytes(4, "big", signed=False) if size_bytes < 2**32 else b"\x7f\xff\xff\xff")]
    at, frame_bytes, counted_at = 12, 0, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "big")
        if name == b"COMM":
            channels = int.from_bytes(head[at + 8 : at + 10], "big")
            bits = int.from_bytes(head[at + 14 : at + 16], "big")
            frame_bytes, counted_at = channels * ((bits + 7) // 8), at + 10
        elif name == b"SSND":
            left = min(size_bytes - at - 8, 2**31 - 1)
            if counted_at and frame_bytes:
                changes.append((counted_at, ((left - 8) // frame_bytes).to_bytes(4, "big")))
            changes.append((at + 4, left.to_bytes(4, "big")))
            break
        at += 8 + length + (length & 1)
    return patched(file, size_bytes, changes)


def _rf64(file: BinaryIO, size_bytes: int) -> BinaryIO:
    """The sizes in the chunk ds64: of RIFF, of data, and the number of samples (EBU Tech 3306, 3)."""
    head = read_at(file, 0, _HEAD_BYTES)
    at = head.find(b"data", _DS64_END)
    if head[12:16] != b"ds64" or at < 0 or int.from_bytes(head[28:36], "little") <= size_bytes - at - 8:
        return patched(file, size_bytes, [])
    lengths = (size_bytes - 8, size_bytes - at - 8, 0)
    return patched(file, size_bytes, [(20, b"".join(length.to_bytes(8, "little") for length in lengths))])


def _w64(file: BinaryIO, size_bytes: int) -> BinaryIO:
    """The sizes of the riff and data chunks, which include their headers (Sony Wave64)."""
    head = read_at(file, 0, _HEAD_BYTES)
    at = head.find(_W64_DATA)
    if at < 0 or at + 24 > len(head) or int.from_bytes(head[at + 16 : at + 24], "little") <= size_bytes - at:
        return patched(file, size_bytes, [])
    lengths = ((16, size_bytes), (at + 16, size_bytes - at))
    return patched(file, size_bytes, [(place, length.to_bytes(8, "little")) for place, length in lengths])
