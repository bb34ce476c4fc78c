"""WebP (RFC 9649): the canvas of VP8X, else the one frame of VP8 or VP8L; orientation (EXIF, after the picture); and
the durations of the frames of an animation (ANMF), which no decoder of libavcodec reads."""

from __future__ import annotations

import struct
from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation, of_exif
from schemas.media import Colour

_MAX_CHUNKS = 20_000
_MAX_EXIF_BYTES = 256 * 1024
_LOSSY, _LOSSLESS = "yuv420p", "argb"  # what libavcodec decodes to
_LOSSY_COLOUR = Colour(matrix="bt470bg", range="tv")  # RFC 9649, 2.5
_ALPHA_FLAG = 0x10


def is_webp(head: bytes) -> bool:
    """Whether a file that begins like this is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def read_webp(file: BinaryIO, size_bytes: int) -> ImageHeader:
    """The header."""
    width = height = pixel_format = None
    canvas = alpha = False
    orientation: Orientation | None = None
    milliseconds, frames, at = 0, 0, 12
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, at, 34)
        if len(head) < 8:
            break
        name, length, data = head[:4], int.from_bytes(head[4:8], "little"), head[8:]
        if name == b"VP8X" and len(data) >= 10:
            canvas, alpha = True, bool(data[0] & _ALPHA_FLAG)
            width, height = 1 + _u24(data, 4), 1 + _u24(data, 7)
        elif name == b"ANMF" and len(data) >= 15:
            frames += 1
            milliseconds += _u24(data, 12)
            pixel_format = pixel_format or _frame_format(data[16:20], alpha)
        elif name in (b"VP8 ", b"VP8L") and len(data) >= 10 and pixel_format is None:
            pixel_format = _frame_format(name, alpha)
            if not canvas:
                width, height = _frame_size(name, data)
        elif name == b"EXIF" and orientation is None:
            orientation = of_exif(read_at(file, at + 8, min(length, _MAX_EXIF_BYTES)))
        at += 8 + length + (length & 1)
    else:  # more chunks than are counted: the rest of the file is like its beginning
        milliseconds = round(milliseconds * max(1.0, size_bytes / at))
        frames = round(frames * max(1.0, size_bytes / at))
    animated = frames > 1 and milliseconds > 0
    return ImageHeader(
        width=width or None,
        height=height or None,
        pixel_format=pixel_format,
        bit_depth=8,
        orientation=orientation or UPRIGHT,
        animation_seconds=milliseconds / 1000 if animated else None,
        frames=frames if animated else None,
        colour=None if pixel_format in (None, _LOSSLESS) else _LOSSY_COLOUR,
    )


def _frame_format(name: bytes, alpha: bool) -> str | None:
    if name == b"ALPH":
        return "yuva420p"
    if name == b"VP8L":
        return _LOSSLESS
    return ("yuva420p" if alpha else _LOSSY) if name == b"VP8 " else None


def _frame_size(name: bytes, data: bytes) -> tuple[int, int]:
    if name == b"VP8 ":  # RFC 6386, 9.1: frame tag, start code, 14-bit edges
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    (bits,) = struct.unpack_from("<I", data, 1)  # RFC 9649, 3.4
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
