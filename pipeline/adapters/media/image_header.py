"""Reads what ffprobe does not report of images: EXIF orientation, animation, and sizes if its build lacks a decoder.

Guarantee: bounded work (the first 512 KiB, or at most 20,000 chunk headers of 8 to 24 bytes), nothing is decoded, and
any bytes give an `ImageHeader` or None. It exists because builds without zlib recognise PNG but cannot read its size,
no released ffprobe reads the size of an animated WebP, and only some versions report EXIF orientation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.adapters.media.heif_header import read_heif_orientation

HEAD_BYTES = 512 * 1024
_MAX_CHUNKS = 20_000

# EXIF 2.32, 4.6.4 A, tag 0x0112: orientation -> (degrees clockwise, flipped left to right first)
_EXIF_ORIENTATION = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
_MATRIX = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
_PNG_FORMATS = {
    (0, 8): "gray", (0, 16): "gray16be", (2, 8): "rgb24", (2, 16): "rgb48be", (3, 8): "pal8",
    (4, 8): "ya8", (4, 16): "ya16be", (6, 8): "rgba", (6, 16): "rgba64be",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image header states; None for what it does not state."""

    width: int | None = None
    height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    degrees_clockwise: int = 0
    mirrored: bool = False
    animation_seconds: float | None = None
    frames: int | None = None

    def overrides(self) -> dict[str, Any]:
        """The header as fields of an ffprobe stream."""
        fields: dict[str, Any] = {}
        if self.width and self.height:
            fields |= {"width": self.width, "height": self.height}
        if self.pixel_format:
            fields["pix_fmt"] = self.pixel_format
        if self.bit_depth:
            fields["bits_per_raw_sample"] = self.bit_depth
        if self.animation_seconds and self.frames:
            rate = f"{self.frames}/{self.animation_seconds}"
            fields |= {"r_frame_rate": rate, "avg_frame_rate": rate}
        if self.degrees_clockwise or self.mirrored:
            a, b, c, d = _MATRIX[self.degrees_clockwise]
            if self.mirrored:
                a, b = -a, -b
            fields["side_data_list"] = [{"displaymatrix": f"{a} {b} 0 {c} {d} 0 0 0 1"}]
        return fields


def read_image_header(file: BinaryIO) -> ImageHeader | None:
    """The header of the JPEG, PNG, WebP, HEIC or AVIF in `file`; None for anything else."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            degrees, mirrored = _EXIF_ORIENTATION.get(_jpeg_orientation(head), (0, False))
            return ImageHeader(degrees_clockwise=degrees, mirrored=mirrored)
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return _png(head, file)
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _webp(file)
        if head[4:8] == b"ftyp":
            degrees, mirrored = read_heif_orientation(file)
            return ImageHeader(degrees_clockwise=degrees, mirrored=mirrored)
    except struct.error:  # the file ends inside its header
        return None
    return None


def _jpeg_orientation(head: bytes) -> int:
    """The orientation in the first EXIF segment, 1 if there is none (JPEG: ITU-T T.81, B.1.1.4; TIFF 6.0, section
    2)."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            return _tiff_orientation(head[at + 10 : at + 2 + length])
        at += 2 + max(length, 2)
    return 1


def _tiff_orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for number in range(min(entries, 512)):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * number)
        if tag == 0x0112 and kind == 3:
            return int(value)
    return 1


def _png(head: bytes, file: BinaryIO) -> ImageHeader:
    """PNG third edition, 11.2.1 (IHDR) and 11.3.3 (acTL, fcTL: animation)."""
    width, height, depth, colour = struct.unpack_from(">IIBB", head, 16)
    pixel_format = "pal8" if colour == 3 else _PNG_FORMATS.get((colour, max(depth, 8)))
    seconds, frames, animated = 0.0, 0, False
    for name, at, _ in _chunks(file, start=8, big_endian=True):
        if name == b"IDAT" and not animated:
            break
        animated = animated or name == b"acTL"
        if name == b"fcTL":
            file.seek(at + 20)
            above, below = struct.unpack(">HH", file.read(4))
            seconds, frames = seconds + above / (below or 100), frames + 1
    return ImageHeader(width, height, pixel_format, depth, animation_seconds=seconds or None, frames=frames)


def _webp(file: BinaryIO) -> ImageHeader:
    """RFC 9649: the canvas of VP8X, else the one frame of VP8 or VP8L; the durations of the ANMF chunks in
    milliseconds."""
    header: dict[str, Any] = {"bit_depth": 8}
    milliseconds, frames = 0, 0
    for name, at, _ in _chunks(file, start=12, big_endian=False):
        file.seek(at)
        if name == b"VP8X":
            flags, edges = struct.unpack("<B3x6s", file.read(10))
            header |= {"width": 1 + _u24(edges, 0), "height": 1 + _u24(edges, 3)}
            header["pixel_format"] = "yuva420p" if flags & 0x10 else None
        elif name == b"ANMF":
            frames += 1
            milliseconds += _u24(file.read(15), 12)
        elif name in (b"VP8 ", b"VP8L") and "width" not in header:
            header |= _webp_frame(name, file.read(10))
    seconds = milliseconds / 1000 if frames > 1 and milliseconds else None
    return ImageHeader(**header, animation_seconds=seconds, frames=frames)


def _webp_frame(name: bytes, data: bytes) -> dict[str, Any]:
    if name == b"VP8 ":  # RFC 6386, 9.1: frame tag, start code, 14-bit edges
        width, height = struct.unpack_from("<HH", data, 6)
        return {"width": width & 0x3FFF, "height": height & 0x3FFF}
    (bits,) = struct.unpack_from("<I", data, 1)  # RFC 9649, 3.4
    return {
        "width": (bits & 0x3FFF) + 1,
        "height": (bits >> 14 & 0x3FFF) + 1,
        "pixel_format": "rgba" if bits >> 28 & 1 else None,
    }


def _chunks(file: BinaryIO, *, start: int, big_endian: bool) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the data and length of each chunk: PNG puts the length first and a CRC last, RIFF pads to
    even."""
    at = start
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = (
            (int.from_bytes(head[:4], "big"), head[4:])
            if big_endian
            else (int.from_bytes(head[4:], "little"), head[:4])
        )
        yield name, at + 8, length
        at += 8 + length + (4 if big_endian else length & 1)


def _u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
