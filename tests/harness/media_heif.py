"""Writes HEIC and AVIF files box by box, for tests: a single picture, or a grid of tiles, optionally turned.

Guarantee: the result is a valid HEIF file (ISO/IEC 23008-12) around coded pictures made elsewhere. It is written by
hand since ffmpeg writes neither HEIC nor grids, which phones do. The tiles of a grid are pictures of their own, and
only the grid has the true size.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One intra picture: its sample as in an mp4, and the decoder configuration box (hvcC or av1C) that goes with
    it."""

    sample: bytes
    configuration: bytes
    width: int
    height: int


def picture_from_iso(file: bytes, width: int, height: int) -> CodedPicture:
    """The only frame of an mp4 or avif file from ffmpeg."""
    for name in (b"hvcC", b"av1C"):
        if (at := file.find(name)) >= 0:
            configuration = file[at - 4 : at - 4 + int.from_bytes(file[at - 4 : at], "big")]
            break
    else:
        raise ValueError("there is no hvcC and no av1C in the file")
    at = file.find(b"mdat")
    return CodedPicture(file[at + 4 : at - 4 + int.from_bytes(file[at - 4 : at], "big")], configuration, width, height)


def heif(
    pictures: Sequence[CodedPicture],
    *,
    columns: int = 1,
    size: tuple[int, int] | None = None,
    quarter_turns: int = 0,
    mirrored: bool = False,
    overlaid: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A file of one picture, or of a grid `columns` wide whose canvas is cut to `size`; turned by `quarter_turns`
    counterclockwise, and then `mirrored` from left to right. With the offsets `overlaid` it is no grid but an overlay
    on a grey canvas of `size`.

    All pictures share one size and one configuration.
    """
    first = pictures[0]
    codec, brand = (b"hvc1", b"heic") if first.configuration[4:8] == b"hvcC" else (b"av01", b"avif")
    grid = len(pictures) > 1
    main = len(pictures) + 1 if grid else 1
    tiles = range(1, len(pictures) + 1)
    size = size or (first.width, first.height)

    items = [_full(b"infe", 2, 1 if grid else 0, struct.pack(">HH4s", tile, 0, codec) + b"\0") for tile in tiles]
    properties = [first.configuration, _ispe(first.width, first.height)]
    associations = [struct.pack(">HBBB", tile, 2, 0x81, 2) for tile in tiles]
    on_main = []
    if grid:
        items.append(_full(b"infe", 2, 0, struct.pack(">HH4s", main, 0, b"iovl" if overlaid else b"grid") + b"\0"))
        properties.append(_ispe(*size))
        on_main.append(3)
    if quarter_turns:
        properties.append(_box(b"irot", bytes([quarter_turns])))
        on_main.append(0x80 | len(properties))
    if mirrored:
        properties.append(_box(b"imir", b"\1"))
        on_main.append(0x80 | len(properties))
    if grid:
        associations.append(struct.pack(">HB", main, len(on_main)) + bytes(on_main))
    elif on_main:
        associations = [struct.pack(">HBBB", 1, 2 + len(on_main), 0x81, 2) + bytes(on_main)]

    rows = -(-len(pictures) // columns)
    descriptor = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size) if grid else b""
    if overlaid:
        grey, opaque = 0x8080, 0xFFFF
        descriptor = struct.pack(">BB4HHH", 0, 0, grey, grey, grey, opaque, *size)
        descriptor += b"".join(struct.pack(">hh", *offset) for offset in overlaid)
    ftyp = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand + (b"miaf" if brand == b"avif" else b""))

    def meta(data_offset: int) -> bytes:
        locations, offset = [], data_offset
        for tile, picture in zip(tiles, pictures, strict=True):
            locations.append(struct.pack(">HHHHII", tile, 0, 0, 1, offset, len(picture.sample)))
            offset += len(picture.sample)
        if grid:  # construction method 1: the bytes are in idat
            locations.append(struct.pack(">HHHHII", main, 1, 0, 1, 0, len(descriptor)))
        boxes = [
            _full(b"hdlr", 0, 0, bytes(4) + b"pict" + bytes(13)),
            _full(b"pitm", 0, 0, struct.pack(">H", main)),
            _full(b"iloc", 1, 0, b"\x44\x00" + struct.pack(">H", len(locations)) + b"".join(locations)),
            _full(b"iinf", 0, 0, struct.pack(">H", len(items)) + b"".join(items)),
            _box(
                b"iprp",
                _box(b"ipco", b"".join(properties))
                + _full(b"ipma", 0, 0, struct.pack(">I", len(associations)) + b"".join(associations)),
            ),
        ]
        if grid:
            reference = _box(b"dimg", struct.pack(f">HH{len(tiles)}H", main, len(tiles), *tiles))
            boxes += [_full(b"iref", 0, 0, reference), _box(b"idat", descriptor)]
        return _full(b"meta", 0, 0, b"".join(boxes))

    data_offset = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(data_offset) + _box(b"mdat", b"".join(picture.sample for picture in pictures))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _full(name: bytes, version: int, flags: int, content: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + content)


def _ispe(width: int, height: int) -> bytes:
    return _full(b"ispe", 0, 0, struct.pack(">II", width, height))
