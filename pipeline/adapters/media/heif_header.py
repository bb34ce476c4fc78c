"""Reads the orientation of the main picture of a HEIC or AVIF file; ffprobe does not report it for tiled pictures.

Guarantee: bounded work (the `meta` box up to 1 MiB, at most 4,096 boxes, nothing is decoded), and a result for any
bytes: (0, False) if the file states no orientation.

Rotation and mirroring are properties of the primary item (ISO/IEC 23008-12, 6.5.10 and 6.5.12). They are found through
pitm (which item), ipma (which properties, in which order) and ipco (the properties) of ISO/IEC 14496-12, 8.11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_MAX_META_BYTES = 1024 * 1024
_MAX_BOXES = 4096


def read_heif_orientation(file: BinaryIO) -> tuple[int, bool]:
    """Degrees clockwise, and whether the picture is flipped left to right before it is rotated."""
    try:
        return _orientation(_meta(file))
    except (struct.error, IndexError):  # the box ends inside a field
        return 0, False


def _meta(file: BinaryIO) -> bytes:
    at = 0
    for _ in range(16):
        file.seek(at)
        head = file.read(8)
        length, name = struct.unpack(">I4s", head)
        if name == b"meta":
            return file.read(min(length - 8, _MAX_META_BYTES))[4:] if length > 12 else b""
        if length < 8:  # 64-bit and open lengths belong to mdat, which comes after meta in these files
            break
        at += length
    return b""


def _orientation(meta: bytes) -> tuple[int, bool]:
    boxes = dict(_boxes(meta))
    primary = boxes.get(b"pitm", b"")
    (main,) = struct.unpack_from(">H" if primary[:1] == b"\0" else ">I", primary, 4)
    inner = dict(_boxes(boxes.get(b"iprp", b"")))
    properties = list(_boxes(inner.get(b"ipco", b"")))
    degrees, mirrored = 0, False
    for index in _associations(inner.get(b"ipma", b""), main):
        name, content = properties[index - 1] if 1 <= index <= len(properties) else (b"", b"")
        if name == b"irot":  # quarter turns counterclockwise
            degrees -= 90 * (content[0] & 3)
        elif name == b"imir":  # 1 swaps left and right; 0 swaps top and bottom: a left-right flip and half a turn
            degrees = -degrees + (0 if content[0] & 1 else 180)
            mirrored = not mirrored
    return degrees % 360, mirrored


def _associations(ipma: bytes, item: int) -> list[int]:
    """The numbers, from 1, of the item's properties in the order in which they apply."""
    version, wide = ipma[0], ipma[3] & 1
    (entries,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(entries, _MAX_BOXES)):
        (number,) = struct.unpack_from(">H" if version == 0 else ">I", ipma, at)
        at += 2 if version == 0 else 4
        count = ipma[at]
        indexes = struct.unpack_from(f">{count}{'H' if wide else 'B'}", ipma, at + 1)
        at += 1 + count * (2 if wide else 1)
        if number == item:
            return [index & (0x7FFF if wide else 0x7F) for index in indexes]
    return []


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box with a 32-bit length."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(content):
            return
        length, name = struct.unpack_from(">I4s", content, at)
        if length < 8:
            return
        yield name, content[at + 8 : at + length]
        at += length
