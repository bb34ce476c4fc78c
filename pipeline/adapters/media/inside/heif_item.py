"""Reads the main picture's properties from the header (meta) of a HEIC or AVIF file. PyAV shows the tiles of a grid as
streams, and neither the size of the whole nor how it is turned.

Guarantee: bounded work (the `meta` box up to 1 MiB, at most 4,096 boxes, nothing is decoded), and a result for any
bytes. The main picture is the primary item (pitm); its properties are found through ipma and ipco (ISO/IEC 14496-12,
8.11).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import boxes, content
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation, of_heif

_MAX_META_BYTES = 1024 * 1024
_MAX_BOXES = 4096
_DERIVED = (b"grid", b"iovl")


@dataclass(frozen=True, slots=True)
class MainItem:
    """The primary item. `derived`: it is composed of others, a grid or an overlay. None: not stated."""

    number: int = 0
    derived: bool = False
    width: int | None = None
    height: int | None = None
    orientation: Orientation = UPRIGHT
    bit_depth: int | None = None


def read_main_item(file: BinaryIO, size_bytes: int) -> MainItem:
    """The main picture of the file."""
    meta = next((box for box in boxes(file, 0, size_bytes, 64) if box.name == b"meta"), None)
    if meta is None:
        return MainItem()
    try:
        return _main_item(content(file, meta, _MAX_META_BYTES)[4:])
    except (struct.error, IndexError):  # a box ends inside a field
        return MainItem()


def _main_item(meta: bytes) -> MainItem:
    parts = dict(_boxes(meta))
    primary = parts.get(b"pitm", b"")
    (main,) = struct.unpack_from(">H" if primary[:1] == b"\0" else ">I", primary, 4)
    inner = dict(_boxes(parts.get(b"iprp", b"")))
    properties = list(_boxes(inner.get(b"ipco", b"")))
    width = height = depth = None
    transforms: list[tuple[bytes, int]] = []
    for index in _associations(inner.get(b"ipma", b""), main):
        name, data = properties[index - 1] if 1 <= index <= len(properties) else (b"", b"")
        if name == b"ispe":
            width, height = struct.unpack_from(">II", data, 4)
        elif name == b"pixi" and len(data) > 5:
            depth = data[5]
        elif name in (b"irot", b"imir") and data:
            transforms.append((name, data[0]))
    derived = _kind(parts.get(b"iinf", b""), main) in _DERIVED
    return MainItem(main, derived, width, height, of_heif(transforms), depth)


def _kind(iinf: bytes, item: int) -> bytes:
    """The item's type, such as grid, hvc1, av01 (8.11.6)."""
    start = 6 if iinf[:1] == b"\0" else 8
    for name, data in _boxes(iinf[start:]):
        if name == b"infe" and data[0] >= 2:
            (number,) = struct.unpack_from(">H" if data[0] == 2 else ">I", data, 4)
            if number == item:
                at = 8 if data[0] == 2 else 10
                return data[at : at + 4]
    return b""


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


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box with a 32-bit length."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield name, data[at + 8 : at + length]
        at += length
