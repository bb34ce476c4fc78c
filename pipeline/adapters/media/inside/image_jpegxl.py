"""JPEG XL (ISO/IEC 18181): size, bit depth, orientation, and the time of an animation. libavcodec has no decoder here,
and a missing decoder is not the file's fault.

Guarantee: reads the first KiB, and in an animation the headers of up to 10,000 frames; any bytes give a header. The
fields are plain bits (18181-1, annexes C, D and F); what lies behind an ICC profile or a permuted table of contents is
coded otherwise, and then the length stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import boxes, read_at
from pipeline.adapters.media.inside.jpegxl_bits import Bits
from pipeline.adapters.media.inside.jpegxl_frame import Coded, read_frame
from pipeline.adapters.media.inside.orientation import of_exif_value
from pipeline.adapters.media.inside.views import Part, view

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
_HEADER_BYTES = 1024
_FRAME_BYTES = 16 * 1024
_MAX_FRAMES = 10_000
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_XY = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_GREY, _XYB, _CUSTOM = 1, 2, 2
_ALPHA, _SPOT, _CFA = 0, 2, 5


@dataclass(frozen=True, slots=True)
class _Animation:
    ticks_per_second: float
    timecodes: bool


def read_jpegxl(file: BinaryIO, size_bytes: int) -> ImageHeader:
    """The header."""
    stream = _codestream(file, size_bytes)
    bits = Bits(read_at(stream, 0, _HEADER_BYTES))
    if bits.take(16) != int.from_bytes(CODESTREAM, "little"):
        return ImageHeader()
    width, height = _size(bits)
    orientation, depth, animation = 1, 8, None
    coded: Coded | None = Coded(width, height)
    if not bits.flag():  # not all_default
        extra_fields = bits.flag()
        preview = False
        if extra_fields:
            orientation = 1 + bits.take(3)
            if bits.flag():
                _size(bits)  # the intrinsic size
            preview = bits.flag()
            if preview:
                _preview(bits)
            animation = _animation(bits) if bits.flag() else None
        depth = _depth(bits)
        coded = None if preview else _coded(bits, width, height, extra_fields)
    header = ImageHeader(width=width, height=height, bit_depth=depth, orientation=of_exif_value(orientation))
    if animation is None or coded is None or not bits.flag():  # the last one: the transform has default values
        return header
    return _with_length(header, stream, bits.bytes_taken, replace(coded, animated=True), animation)


def _codestream(file: BinaryIO, size_bytes: int) -> BinaryIO:
    """The codestream, which a container holds in a box jxlc, or in parts in boxes jxlp (18181-2, 9.8 and 9.9)."""
    if read_at(file, 0, len(CONTAINER)) != CONTAINER:
        return file
    parts: list[Part] = []
    for box in boxes(file, 0, size_bytes):
        if box.name == b"jxlc":
            parts.append((box.start, box.end - box.start))
        elif box.name == b"jxlp":
            parts.append((box.start + 4, box.end - box.start - 4))
    return view(file, parts)


def _with_length(header: ImageHeader, stream: BinaryIO, at: int, coded: Coded, animation: _Animation) -> ImageHeader:
    """The header with the sum of what the frames last."""
    ticks = frames = 0
    for _ in range(_MAX_FRAMES):
        frame = read_frame(read_at(stream, at, _FRAME_BYTES), replace(coded, timecodes=animation.timecodes))
        if frame is None:
            return header
        ticks, frames = ticks + frame.ticks, frames + (frame.ticks > 0)
        at += frame.size_bytes
        if frame.last:
            break
    if not ticks or frames < 2:
        return header
    return replace(header, animation_seconds=ticks / animation.ticks_per_second, frames=frames)


def _size(bits: Bits) -> tuple[int, int]:
    """Width and height."""
    eighths = bits.flag()
    height = 8 * (1 + bits.take(5)) if eighths else bits.choice(*_SIZE)
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio]
        return height * above // below, height
    return (8 * (1 + bits.take(5)) if eighths else bits.choice(*_SIZE)), height


def _preview(bits: Bits) -> None:
    options = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.flag() else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*options)
    if not bits.take(3):
        bits.choice(*options)


def _animation(bits: Bits) -> _Animation:
    above = bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
    below = bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # loops
    return _Animation(above / below, bits.flag())


def _depth(bits: Bits) -> int:
    if bits.flag():  # floating point
        depth = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return depth
    return bits.choice((8, 0), (10, 0), (12, 0), (1, 6))


def _coded(bits: Bits, width: int, height: int, extra_fields: bool) -> Coded | None:
    """The rest of the metadata; None if a profile follows it."""
    bits.flag()  # modular_16bit_buffers
    channels = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
    for _ in range(channels):
        _extra_channel(bits)
    xyb = bits.flag()
    profile = _colours(bits)
    if extra_fields and not bits.flag():  # tone mapping
        bits.take(16 + 16 + 1 + 16)
    bits.extensions()
    return None if profile else Coded(width, height, channels, xyb)


def _extra_channel(bits: Bits) -> None:
    if bits.flag():
        return
    kind = bits.choice(*_ENUM)
    _depth(bits)
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))
    bits.name()
    if kind == _ALPHA:
        bits.flag()
    elif kind == _SPOT:
        bits.take(64)
    elif kind == _CFA:
        bits.choice((1, 0), (0, 2), (3, 4), (19, 8))


def _colours(bits: Bits) -> bool:
    """Whether an ICC profile describes them."""
    if bits.flag():
        return False
    profile, space = bits.flag(), bits.choice(*_ENUM)
    if profile:
        return True
    if space != _XYB:
        if bits.choice(*_ENUM) == _CUSTOM:  # the white point
            _points(bits, 1)
        if space != _GREY and bits.choice(*_ENUM) == _CUSTOM:  # the primaries
            _points(bits, 3)
        if bits.flag():
            bits.take(24)  # gamma
        else:
            bits.choice(*_ENUM)
    bits.choice(*_ENUM)  # rendering intent
    return False


def _points(bits: Bits, count: int) -> None:
    for _ in range(2 * count):
        bits.choice(*_XY)
