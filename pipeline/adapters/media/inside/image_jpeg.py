"""JPEG: the orientation in the first Exif segment that states one, wherever it is before the picture itself.

JFIF, XMP, ICC profiles and a second Exif segment may come before (ITU-T T.81, B.1.1.4; Exif 2.32, 4.5.4).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.orientation import of_exif

SIGNATURE = b"\xff\xd8\xff"
_MAX_SEGMENTS = 1024
_START_OF_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def read_jpeg(file: BinaryIO) -> tuple[ImageHeader, int, int]:
    """The header, the offset at which the picture's data begins, and the least size of a file with such a picture, of
    which libavcodec requires two bits per block of 8 x 8."""
    at, least = 2, 0
    header = ImageHeader()
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
                header, found = ImageHeader(orientation=orientation), True
        elif marker in _FRAMES:
            height, width = struct.unpack(">HH", read_at(file, at + 5, 4).ljust(4, b"\0"))
            least = (width + 7) // 8 * ((height + 7) // 8) // 4
        at += 2 + max(length, 2)
    return header, at, least
