"""Reads from the header of a movie (moov) what PyAV does not expose: how each track is turned, and how long its samples
last.

Guarantee: bounded work (headers of boxes, and at most 1 MiB of a table), and a result for any bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import boxes, content, find
from pipeline.adapters.media.inside.orientation import Orientation, of_matrix

_MAX_TOP_LEVEL = 512
_MAX_TRACKS = 1024
_MAX_TABLE_BYTES = 1024 * 1024  # 131,072 changes of the rate
_IDENTITY = (1 << 16, 0, 0, 1 << 16)
_Turn = tuple[int, int, int, int]


def read_movie(file: BinaryIO, size_bytes: int) -> Mapping[int, Orientation]:
    """By the track's number (track_ID, which is PyAV's `stream.id`): its own matrix, then that of the movie."""
    moov = next((box for box in boxes(file, 0, size_bytes, _MAX_TOP_LEVEL) if box.name == b"moov"), None)
    if moov is None:
        return {}
    movie, headers = _IDENTITY, []
    for box in boxes(file, moov.start, moov.end, _MAX_TRACKS):
        if box.name == b"mvhd":
            movie = _matrix(content(file, box, 128), 36, 48)
        elif box.name == b"trak":
            headers.append(box)
    found: dict[int, Orientation] = {}
    for trak in headers:
        header = find(file, trak.start, trak.end, b"tkhd")
        if header is None:
            continue
        data = content(file, header, 128)
        number = _number(data)
        if number is not None and number not in found:
            found[number] = of_matrix(_product(_matrix(data, 40, 52), movie))
    return found


def sample_seconds(file: BinaryIO, size_bytes: int) -> float | None:
    """The length of the longest track by its sample table (stts, 8.6.1.2), for movies whose headers state no duration
    (0, or all ones: 8.2.2 and 8.4.2)."""
    moov = next((box for box in boxes(file, 0, size_bytes, _MAX_TOP_LEVEL) if box.name == b"moov"), None)
    lengths: list[float] = []
    for trak in boxes(file, moov.start, moov.end, _MAX_TRACKS) if moov else ():
        header = find(file, trak.start, trak.end, b"mdia", b"mdhd") if trak.name == b"trak" else None
        table = find(file, trak.start, trak.end, b"mdia", b"minf", b"stbl", b"stts") if header else None
        if header is None or table is None:
            continue
        data, entries = content(file, header, 32), content(file, table, _MAX_TABLE_BYTES)
        units = int.from_bytes(data[20:24] if data[:1] == b"\1" else data[12:16], "big")
        count = min(int.from_bytes(entries[4:8], "big"), (len(entries) - 8) // 8)
        ticks = sum(samples * step for samples, step in struct.iter_unpack(">II", entries[8 : 8 + 8 * max(0, count)]))
        if units:
            lengths.append(ticks / units)
    return max(lengths, default=None)


def _number(header: bytes) -> int | None:
    at = 20 if header[:1] == b"\1" else 12
    return int.from_bytes(header[at : at + 4], "big") if len(header) >= at + 4 else None


def _matrix(header: bytes, version_0_at: int, version_1_at: int) -> _Turn:
    """a, b, c, d of a header's display matrix; its place depends on the version (8.2.2 and 8.3.2)."""
    at = version_1_at if header[:1] == b"\1" else version_0_at
    if len(header) < at + 36:
        return _IDENTITY
    a, b, _, c, d = struct.unpack_from(">5i", header, at)
    return (a, b, c, d) if (a, b, c, d) != (0, 0, 0, 0) else _IDENTITY


def _product(track: _Turn, movie: _Turn) -> _Turn:
    """The track's matrix, then the movie's."""
    a, b, c, d = track
    e, f, g, h = movie
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
