"""JPEG: the orientation in the first Exif segment that states one, wherever it is before the picture itself.

JFIF, XMP, ICC profiles and a second Exif segment may come before (ITU-T T.81, B.1.1.4; Exif 2.32, 4.5.4).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.orientation import of_exif
from pipeline.adapters.media.inside.views import Part

SIGNATURE = b"\xff\xd8\xff"
_MAX_SEGMENTS = 1024
_START_OF_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODED = frozenset({0xC0, 0xC1, 0xC2, 0xC3})  # the others are differential, or have arithmetic coding
_BASELINE = b"\xff\xc0"
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class Jpeg(NamedTuple):
    """`data_at`: where the picture's data begins. `least_bytes`: the least size of a file with such a picture, of which
    libavcodec requires two bits per block of 8 x 8. `readable`: None, or the parts of the file that libavformat
    recognises although libavcodec has no decoder for its kind of frame."""

    header: ImageHeader
    data_at: int
    least_bytes: int
    readable: Sequence[Part] | None


def read_jpeg(file: BinaryIO) -> Jpeg:
    """The header."""
    at, least = 2, 0
    header = ImageHeader()
    undecoded_at = 0
    found = False
    for _ in range(_MAX_SEGMENTS):
        head = read_at(file, at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker = head[1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker alone
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (_START_OF_SCAN, _END):
            break
        length = int.from_bytes(head[2:], "big")
        if marker == _APP1 and not found:
            data = read_at(file, at + 4, length - 2) if length > 8 else b""
            if data.startswith(b"Exif\0") and (orientation := of_exif(data)) is not None:
                header, found = replace(header, orientation=orientation), True
        elif marker in _FRAMES:
            depth, height, width = struct.unpack(">BHH", read_at(file, at + 4, 5).ljust(5, b"\0"))
            least = (width + 7) // 8 * ((height + 7) // 8) // 4
            if marker not in _DECODED and not undecoded_at:
                undecoded_at = at
                header = replace(header, width=width or None, height=height or None, bit_depth=depth or None)
        at += 2 + max(length, 2)
    parts: Sequence[Part] = [(0, undecoded_at), _BASELINE, (undecoded_at + 2, at - undecoded_at - 2)]
    return Jpeg(header, at, least, parts if undecoded_at else None)
