"""Reads from the header of a movie (moov) how each track is turned, which PyAV does not expose.

Guarantee: bounded work (headers of boxes; the sample tables are not read), and a result for any bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import boxes, content, find
from pipeline.adapters.media.inside.orientation import Orientation, of_matrix

_MAX_TOP_LEVEL = 512
_MAX_TRACKS = 1024
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
