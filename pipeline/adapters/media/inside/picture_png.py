"""Interlaced PNG at a fraction of its size.

Guarantee: of a large interlaced PNG, only the passes are read that the asked size needs: 1/64 of the picture for a
thumbnail of one with 256 million pixels. Everything else gives None.

An interlaced PNG (PNG third edition, 8.1) stores seven small pictures, one after another. The first one has every
eighth pixel of every eighth line. Its filtered lines are those of an ordinary PNG of that size.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHTH = 8
_LARGE_PIXELS = 2**25  # smaller ones are decoded completely, which looks better
_MAX_CHUNK_BYTES = 64 * 1024
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples per pixel
_COPIED = (b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"sRGB", b"cHRM", b"cICP")
_MAX_COPIED_BYTES = 4 * 1024 * 1024


def first_passes(file: BinaryIO, size: tuple[int, int]) -> BinaryIO | None:
    """A PNG of the first pass of the one in `file`, if that is interlaced and large enough for `size`."""
    file.seek(0)
    head = file.read(33)
    if len(head) < 33 or not head.startswith(_SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height, depth, colour, *_, interlaced = struct.unpack_from(">IIBBBBB", head, 16)
    small_width, small_height = -(-width // _EIGHTH), -(-height // _EIGHTH)
    if interlaced != 1 or colour not in _SAMPLES or width * height < _LARGE_PIXELS:
        return None
    if small_width < size[0] or small_height < size[1]:
        return None
    line_bytes = 1 + -(-small_width * depth * _SAMPLES[colour] // 8)
    output = io.BytesIO()
    output.write(_SIGNATURE)
    header = struct.pack(">IIBBBBB", small_width, small_height, depth, colour, 0, 0, 0)
    _write(output, b"IHDR", header)
    lines = _first_bytes(file, output, line_bytes * small_height)
    _write(output, b"IDAT", zlib.compress(lines, 1))
    _write(output, b"IEND", b"")
    output.seek(0)
    return output


def _first_bytes(file: BinaryIO, output: BinaryIO, count: int) -> bytes:
    """The first `count` bytes of the decompressed picture; copies to `output` the chunks that tell what they mean."""
    inflate = zlib.decompressobj()
    found = bytearray()
    for name, length in _chunks(file):
        if name == b"IDAT":
            while length and len(found) < count:
                part = file.read(min(length, _MAX_CHUNK_BYTES))
                if not part:
                    break
                length -= len(part)
                found += inflate.decompress(part, count - len(found))
        elif name in _COPIED and length <= _MAX_COPIED_BYTES and not found:
            _write(output, name, file.read(length))
        if name == b"IEND" or len(found) >= count:
            break
    return bytes(found)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk; the file is at its content."""
    at = len(_SIGNATURE)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, length
        at += 12 + length


def _write(output: BinaryIO, name: bytes, content: bytes) -> None:
    output.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))
