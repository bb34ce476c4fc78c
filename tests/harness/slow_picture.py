"""A small file whose metadata is cheap and whose thumbnail is not, so that it has a stage of its own."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Final

_EDGE: Final = 14_000


@cache
def slow_picture() -> bytes:
    """A PNG of 196 million pixels in one colour, of 2.6 MB: decoding it takes seconds of CPU time."""
    squeezer = zlib.compressobj(1)
    line = b"\1" + bytes((200, 30, 30)) + bytes(3 * (_EDGE - 1))  # each pixel is the one to its left
    content = b"".join([squeezer.compress(line) for _ in range(_EDGE)]) + squeezer.flush()
    header = struct.pack(">IIBBBBB", _EDGE, _EDGE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
