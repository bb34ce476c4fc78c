"""TIFF (6.0, section 2) and BigTIFF: size, depth and orientation in the first directory, which may lie anywhere in the
file. libavcodec reads neither BigTIFF nor every compression and sample format; a missing decoder is not the file's
fault.

Guarantee: reads the header and one directory of at most 4096 entries; any bytes give a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Literal

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.orientation import of_exif_value

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
RECOGNISED = b"II*\0\x08\0\0\0" + bytes(64)
"""What libavformat recognises as TIFF, for one that it does not."""
_BIG = (b"II+\0", b"MM\0+")
_MAX_ENTRIES = 4096
_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}  # BYTE, SHORT, LONG, LONG8
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _FORMAT = 256, 257, 258, 259, 262, 274, 339
_WANTED = frozenset({_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _FORMAT})
_UNDECODED_COMPRESSIONS = frozenset({34712, 34887, 34925, 34933, 34934, 50000, 50001, 50002})
"""JPEG 2000, LERC, LZMA, PNG, JPEG XR, Zstandard, WebP, JPEG XL."""
_UNDECODED_COLOURS = frozenset({8, 9, 10})  # CIE, ICC and ITU L*a*b*
_INTEGERS, _MAX_BITS = 1, 16


def read_tiff(file: BinaryIO) -> tuple[ImageHeader, bool]:
    """The header, and whether libavcodec can decode the picture."""
    head = read_at(file, 0, 16)
    values = _first_values(file, head)
    width, height, bits = (values.get(tag) or None for tag in (_WIDTH, _HEIGHT, _BITS))
    decodable = (
        head[:4] not in _BIG
        and values.get(_COMPRESSION) not in _UNDECODED_COMPRESSIONS
        and values.get(_PHOTOMETRIC) not in _UNDECODED_COLOURS
        and values.get(_FORMAT, _INTEGERS) == _INTEGERS
        and (bits or 1) <= _MAX_BITS
    )
    header = ImageHeader(
        width=width,
        height=height,
        bit_depth=None if decodable else bits,
        orientation=of_exif_value(values.get(_ORIENTATION, 1)),
    )
    return header, decodable


def _first_values(file: BinaryIO, head: bytes) -> Mapping[int, int]:
    """The first value of each wanted entry."""
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    big = head[:4] in _BIG
    offset_bytes, count_bytes, entry_bytes = (8, 8, 20) if big else (4, 2, 12)
    at = int.from_bytes(head[8:16] if big else head[4:8], order)
    entries = min(int.from_bytes(read_at(file, at, count_bytes), order), _MAX_ENTRIES)
    directory = read_at(file, at + count_bytes, entry_bytes * entries)
    found: dict[int, int] = {}
    for start in range(0, len(directory) - entry_bytes + 1, entry_bytes):
        tag, kind = (int.from_bytes(directory[start + part : start + part + 2], order) for part in (0, 2))
        size = _SIZES.get(kind)
        if tag not in _WANTED or tag in found or size is None:
            continue
        count = int.from_bytes(directory[start + 4 : start + 4 + offset_bytes], order)
        value = directory[start + 4 + offset_bytes : start + entry_bytes]
        if count * size > offset_bytes:
            value = read_at(file, int.from_bytes(value, order), size)
        found[tag] = int.from_bytes(value[:size], order)
    return found
