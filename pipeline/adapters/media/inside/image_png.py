"""PNG and APNG: size and format (IHDR), orientation (eXIf, also after the picture), and the time of an animation (PNG
third edition, 11.2.1, 11.3.2.5, 11.3.3.2)."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.limits import check_count
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation, of_exif

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 20_000
_WALKED_BYTES = 1024 * 1024  # a still picture of more bytes is searched from its end for what follows it
_TAIL_BYTES = 128 * 1024
_MAX_EXIF_BYTES = 256 * 1024
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_FORMATS = {
    (0, 8): "gray", (0, 16): "gray16be", (2, 8): "rgb24", (2, 16): "rgb48be", (3, 8): "pal8",
    (4, 8): "ya8", (4, 16): "ya16be", (6, 8): "rgba", (6, 16): "rgba64be",
}  # fmt: skip


def read_png(file: BinaryIO, size_bytes: int) -> tuple[ImageHeader, int]:
    """The header, and the offset at which the picture's data begins. Raises NotMedia for more texts than a file may
    contain."""
    start = read_at(file, 0, 33)
    if start[12:16] != b"IHDR" or len(start) < 33:
        return ImageHeader(), size_bytes
    width, height, depth, colour = struct.unpack_from(">IIBB", start, 16)
    orientation: Orientation | None = None
    seconds, frames, texts, animated = 0.0, 0, 0, False
    data_at, at = 0, 8
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, at, 8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name == b"eXIf" and orientation is None:
            orientation = of_exif(read_at(file, at + 8, min(length, _MAX_EXIF_BYTES)))
        elif name in _TEXTS:
            texts += 1
            check_count(texts, "tags")
        elif name == b"acTL" and not data_at:  # its number of frames is a placeholder in a file written to a pipe
            animated = True
        elif name == b"fcTL" and animated:
            delay = read_at(file, at + 28, 4)
            if len(delay) == 4:
                above, below = struct.unpack(">HH", delay)
                seconds, frames = seconds + above / (below or 100), frames + 1
        elif name == b"IDAT" and not data_at:
            data_at = at
            if not animated and size_bytes > _WALKED_BYTES:
                break
        at += 12 + length
    else:  # more chunks than are counted: the rest of the file is like its beginning
        seconds, frames = seconds * max(1.0, size_bytes / at), round(frames * max(1.0, size_bytes / at))
    if orientation is None and data_at and size_bytes > _WALKED_BYTES:
        orientation = _orientation_at_end(file, max(data_at, size_bytes - _TAIL_BYTES))
    header = ImageHeader(
        width=width,
        height=height,
        pixel_format="pal8" if colour == 3 else _FORMATS.get((colour, max(depth, 8))),
        bit_depth=depth,
        orientation=orientation or UPRIGHT,
        animation_seconds=seconds if seconds and frames > 1 else None,
        frames=frames if frames > 1 else None,
    )
    return header, data_at or at


def _orientation_at_end(file: BinaryIO, start: int) -> Orientation | None:
    """From an eXIf chunk in the last bytes of the file: one whose checksum is right."""
    tail = read_at(file, start, _TAIL_BYTES)
    at = tail.rfind(b"eXIf")
    for _ in range(16):
        if at < 4:
            return None
        end = at + 4 + int.from_bytes(tail[at - 4 : at], "big")
        if end + 4 <= len(tail) and zlib.crc32(tail[at:end]) == int.from_bytes(tail[end : end + 4], "big"):
            return of_exif(tail[at + 4 : end])
        at = tail.rfind(b"eXIf", 0, at)
    return None
