"""JPEG XL (ISO/IEC 18181-1): size, bit depth, orientation and the clock of an animation. No decoder is at hand, and a
missing decoder is not the file's fault.

The codestream's first bits are plain fields (D.2 and D.3); in a container they are in the box jxlc or the first jxlp
(18181-2, 9.8 and 9.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import boxes, read_at
from pipeline.adapters.media.inside.orientation import of_exif_value

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))


@dataclass
class _Bits:
    """Reads fields from the least significant bit on; zeros after the end (B.2)."""

    value: int

    def take(self, length: int) -> int:
        found = self.value & ((1 << length) - 1)
        self.value >>= length
        return found

    def choice(self, *options: tuple[int, int]) -> int:
        """U32: two bits select an option, which is a base and the length of what is added."""
        base, length = options[self.take(2)]
        return base + self.take(length)


def read_jpegxl(file: BinaryIO, size_bytes: int) -> tuple[ImageHeader, float | None]:
    """The header, and the ticks per second of an animation, None for a still picture."""
    start = 0
    if read_at(file, 0, 12) == CONTAINER:
        box = next((box for box in boxes(file, 0, size_bytes, 256) if box.name in (b"jxlc", b"jxlp")), None)
        if box is None:
            return ImageHeader(), None
        start = box.start + (4 if box.name == b"jxlp" else 0)
    data = read_at(file, start, 64)
    if data[:2] != CODESTREAM:
        return ImageHeader(), None
    bits = _Bits(int.from_bytes(data[2:], "little"))
    width, height = _size(bits)
    orientation, ticks, depth = 1, None, 8
    if not bits.take(1):  # not all_default
        if bits.take(1):  # extra_fields
            orientation = 1 + bits.take(3)
            if bits.take(1):
                _size(bits)  # the intrinsic size
            if bits.take(1):
                _preview(bits)
            if bits.take(1):
                ticks = _ticks_per_second(bits)
        if bits.take(1):  # floating point
            depth = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        else:
            depth = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    header = ImageHeader(width=width, height=height, bit_depth=depth, orientation=of_exif_value(orientation))
    return header, ticks


def _size(bits: _Bits) -> tuple[int, int]:
    """Width and height."""
    eighths = bits.take(1)
    height = 8 * (1 + bits.take(5)) if eighths else bits.choice(*_SIZE)
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio]
        return height * above // below, height
    return (8 * (1 + bits.take(5)) if eighths else bits.choice(*_SIZE)), height


def _preview(bits: _Bits) -> None:
    options = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.take(1) else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*options)
    if not bits.take(3):
        bits.choice(*options)


def _ticks_per_second(bits: _Bits) -> float:
    above = bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
    below = bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # loops
    bits.take(1)  # have_timecodes
    return above / below
