"""Writes PNG, WebP and turned JPEG files byte by byte, for tests, since not every ffmpeg writes them."""

from __future__ import annotations

import struct
import zlib


def turned_jpeg(jpeg: bytes, orientation: int) -> bytes:
    """The same picture with an Exif segment for its orientation."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + jpeg[2:]


def png(*, alpha: bool = False, frames: int = 1, width: int = 320, height: int = 240) -> bytes:
    """Four quarters. Python's zlib is enough for PNG, and not every ffmpeg has it. With alpha the blue quarter is
    transparent."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    left, right = width // 2, width - width // 2
    opaque = b"\xff" if alpha else b""
    top = (b"\xff\0\0" + opaque) * left + (b"\0\xff\0" + opaque) * right
    bottom = (b"\0\0\xff" + (b"\0" if alpha else b"")) * left + (b"\xff\xff\xff" + opaque) * right
    data = zlib.compress((b"\0" + top) * (height // 2) + (b"\0" + bottom) * (height - height // 2))
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6 if alpha else 2, 0, 0, 0))
    if frames > 1:
        body += chunk(b"acTL", struct.pack(">II", frames, 0))
    for number in range(frames):
        if frames > 1:
            body += chunk(b"fcTL", struct.pack(">IIIIIHHBB", max(0, 2 * number - 1), width, height, 0, 0, 1, 10, 0, 0))
        body += chunk(b"fdAT", struct.pack(">I", 2 * number) + data) if number else chunk(b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def webp(ivf: bytes, frames: int, width: int = 320, height: int = 240) -> bytes:
    """A WebP is a VP8 key frame in RIFF (RFC 9649): assembled here from the first of an IVF file, since not every
    ffmpeg writes it. An animation shows that one so many times."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)

    frame = chunk(b"VP8 ", ivf[44 : 44 + int.from_bytes(ivf[32:36], "little")])
    if frames > 1:
        edges = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        animation = bytes(6) + edges + (200).to_bytes(3, "little") + b"\0"
        frame = (
            chunk(b"VP8X", b"\x02\0\0\0" + edges)
            + chunk(b"ANIM", bytes(6))
            + chunk(b"ANMF", animation + frame) * frames
        )
    return b"RIFF" + struct.pack("<I", 4 + len(frame)) + b"WEBP" + frame
