"""The items of a HEIC or AVIF file: coded pictures, and how others are composed of them.

Guarantee: bounded work (the `meta` box up to 1 MiB, at most 65,536 entries per table, nothing is decoded), and a result
or None for any bytes. Numbers of sections are those of ISO/IEC 14496-12 unless another document is named.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import boxes, content, read_at

_MAX_META_BYTES = 1024 * 1024
_MAX_ENTRIES = 65_536
_MAX_ITEM_BYTES = 256 * 1024 * 1024


@dataclass(slots=True)
class Item:
    """An item. `kind` is hvc1, av01, grid, iovl and so on. `properties` are in the order in which they apply. `refers`
    lists items by the type of reference: `dimg` those that a grid consists of, `auxl` the one whose alpha plane this
    is."""

    number: int
    kind: bytes
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    refers: dict[bytes, Sequence[int]] = field(default_factory=dict)
    extents: Sequence[tuple[int, int]] = ()
    in_idat: bool = False

    def stated(self, name: bytes) -> bytes | None:
        """The content of the first property of this name."""
        return next((data for found, data in self.properties if found == name), None)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height before it is turned (ISO/IEC 23008-12, 6.5.3)."""
        data = self.stated(b"ispe")
        if data is None or len(data) < 12:
            return None
        width, height = struct.unpack_from(">II", data, 4)
        return (width, height) if width and height else None


@dataclass(frozen=True, slots=True)
class Items:
    """All items of a file, by number, and which one is the picture."""

    main: int
    by_number: Mapping[int, Item]
    idat: bytes

    def read(self, file: BinaryIO, item: Item) -> bytes:
        """The coded bytes of an item."""
        parts, left = [], _MAX_ITEM_BYTES
        for offset, length in item.extents:
            part = self.idat[offset : offset + length] if item.in_idat else read_at(file, offset, min(length, left))
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def read_items(file: BinaryIO, size_bytes: int) -> Items | None:
    """The items; None if the file has none, or if a table is damaged."""
    meta = next((box for box in boxes(file, 0, size_bytes, 64) if box.name == b"meta"), None)
    if meta is None:
        return None
    try:
        return _items(dict(_boxes(content(file, meta, _MAX_META_BYTES)[4:])))
    except (struct.error, IndexError):  # a table ends inside a field
        return None


def _items(meta: Mapping[bytes, bytes]) -> Items:
    primary = meta.get(b"pitm", b"")
    (main,) = struct.unpack_from(">I" if primary[0] else ">H", primary, 4)
    found = {number: Item(number, kind) for number, kind in _kinds(meta.get(b"iinf", b""))}
    for number, extents, in_idat in _locations(meta.get(b"iloc", b"")):
        if number in found:
            found[number].extents, found[number].in_idat = extents, in_idat
    properties = dict(_boxes(meta.get(b"iprp", b"")))
    known = list(_boxes(properties.get(b"ipco", b"")))
    for number, indexes in _associations(properties.get(b"ipma", b"")):
        if number in found:
            found[number].properties += [known[index - 1] for index in indexes if 1 <= index <= len(known)]
    for kind, number, others in _references(meta.get(b"iref", b"")):
        if number in found:
            found[number].refers[kind] = others
    return Items(main, found, meta.get(b"idat", b""))


def _kinds(iinf: bytes) -> Iterator[tuple[int, bytes]]:
    """8.11.6: the number and the type of each item."""
    for name, data in _boxes(iinf[8 if iinf[:1] > b"\0" else 6 :]):
        if name == b"infe" and data[0] >= 2:
            wide = data[0] > 2
            (number,) = struct.unpack_from(">I" if wide else ">H", data, 4)
            at = 10 if wide else 8
            yield number, data[at : at + 4]


def _locations(iloc: bytes) -> Iterator[tuple[int, list[tuple[int, int]], bool]]:
    """8.11.3: offset and length of each extent, and whether they are in the box `idat`."""
    if not iloc:
        return
    version, offset_size, length_size = iloc[0], iloc[4] >> 4, iloc[4] & 15
    base_size, index_size = iloc[5] >> 4, iloc[5] & 15 if version else 0
    reader = _Reader(iloc, 6)
    for _ in range(min(reader.number(4 if version == 2 else 2), _MAX_ENTRIES)):
        number = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data_reference_index: 0, this file
        base = reader.number(base_size)
        extents = []
        for _ in range(min(reader.number(2), _MAX_ENTRIES)):
            reader.number(index_size)
            offset = reader.number(offset_size)
            extents.append((base + offset, reader.number(length_size)))
        if method <= 1:
            yield number, extents, method == 1


def _associations(ipma: bytes) -> Iterator[tuple[int, list[int]]]:
    """8.11.14: the numbers, from 1, of each item's properties."""
    if not ipma:
        return
    wide = ipma[3] & 1
    reader = _Reader(ipma, 4)
    for _ in range(min(reader.number(4), _MAX_ENTRIES)):
        number = reader.number(4 if ipma[0] else 2)
        count = reader.number(1)
        yield number, [reader.number(2 if wide else 1) & (0x7FFF if wide else 0x7F) for _ in range(count)]


def _references(iref: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    """8.11.12: the type of a reference, from which item, and to which."""
    size = 4 if iref[:1] > b"\0" else 2
    for kind, data in _boxes(iref[4:]):
        reader = _Reader(data, 0)
        number = reader.number(size)
        yield kind, number, [reader.number(size) for _ in range(reader.number(2))]


class _Reader:
    """Reads one number after another. Raises IndexError at the end."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def number(self, size: int) -> int:
        """The next `size` bytes, big-endian."""
        self._at += size
        if self._at > len(self._data):
            raise IndexError
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box with a 32-bit length."""
    at = 0
    for _ in range(_MAX_ENTRIES):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield name, data[at + 8 : at + length]
        at += length
