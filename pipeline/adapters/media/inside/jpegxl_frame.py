"""The header of one frame of a JPEG XL codestream (ISO/IEC 18181-1, annex F): how long it is shown and stored.

Guarantee: bounded work, and a result or None for any bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.adapters.media.inside.jpegxl_bits import Bits

_LOW, _REFERENCE = 1, 2  # types of frames; 0 and 3 are shown
_USES_LOW = 32
_REPLACE, _BLEND, _WEIGHTED, _MULTIPLY = 0, 2, 3, 4
_PLACE = ((0, 8), (256, 11), (2304, 14), (18688, 30))
_ENTRY = ((0, 10), (1024, 14), (17408, 22), (4211712, 30))
_MAX_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class Coded:
    """What the header of the file states about all frames."""

    width: int
    height: int
    channels: int = 0
    xyb: bool = True
    animated: bool = False
    timecodes: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """`ticks`: how long it is shown; 0 for one that others are built on."""

    ticks: int
    size_bytes: int
    last: bool


@dataclass(slots=True)
class _Shape:
    """What the number of a frame's sections follows from."""

    width: int
    height: int
    passes: int = 1
    group: int = 256


def read_frame(data: bytes, coded: Coded) -> Frame | None:
    """The frame that `data` begins with; None if its table of contents is permuted or too long."""
    bits = Bits(data)
    shape = _Shape(coded.width, coded.height)
    ticks, last = 0, True
    if not bits.flag():  # not all_default
        ticks, last = _header(bits, coded, shape)
    if bits.flag():  # a permuted table
        return None
    entries = _entries(shape)
    if entries > _MAX_ENTRIES:
        return None
    bits.align()
    stored = sum(bits.choice(*_ENTRY) for _ in range(entries))
    return Frame(ticks, bits.bytes_taken + stored, last) if bits.bytes_taken <= len(data) else None


def _header(bits: Bits, coded: Coded, shape: _Shape) -> tuple[int, bool]:
    """Ticks, and whether it is the last frame."""
    kind, modular, flags = bits.take(2), bits.flag(), bits.long()
    subsampled = not coded.xyb and bits.flag()
    if not flags & _USES_LOW:
        if subsampled:
            bits.take(6)
        upsampling = 1 << bits.take(2)
        bits.take(2 * coded.channels)
        shape.width, shape.height = -(-shape.width // upsampling), -(-shape.height // upsampling)
    if modular:
        shape.group = 128 << bits.take(2)
    elif coded.xyb:
        bits.take(6)
    if kind != _REFERENCE:
        shape.passes = _passes(bits)
    ticks, last, replaces, whole = 0, False, False, True
    if kind == _LOW:
        level = 1 + bits.take(2)
        shape.width, shape.height = -(-shape.width >> 3 * level), -(-shape.height >> 3 * level)
    else:
        whole = not bits.flag() or _crop(bits, kind, shape, coded)
        if kind != _REFERENCE:
            replaces = _blending(bits, coded, whole)
            for _ in range(coded.channels):
                _blending(bits, coded, whole)
            if coded.animated:
                ticks = bits.choice((0, 0), (1, 0), (0, 8), (0, 32))
                bits.take(32 if coded.timecodes else 0)
            last = bits.flag()
        saved = 0 if last else bits.take(2)
        referred = not last and (ticks == 0 or saved != 0)
        if kind == _REFERENCE or (referred and replaces and whole):
            bits.flag()  # before or after the colours are converted
    bits.name()
    _filters(bits, modular)
    bits.extensions()
    return ticks, last


def _passes(bits: Bits) -> int:
    passes = bits.choice((1, 0), (2, 0), (3, 0), (4, 3))
    if passes > 1:
        coarser = bits.choice((0, 0), (1, 0), (2, 0), (3, 1))
        bits.take(2 * (passes - 1) + 2 * coarser)
        for _ in range(coarser):
            bits.choice((0, 0), (1, 0), (2, 0), (0, 3))
    return passes


def _crop(bits: Bits, kind: int, shape: _Shape, coded: Coded) -> bool:
    """Whether the frame covers the whole picture."""
    left = top = 0
    if kind != _REFERENCE:
        left, top = (number >> 1 ^ -(number & 1) for number in (bits.choice(*_PLACE), bits.choice(*_PLACE)))
    shape.width, shape.height = bits.choice(*_PLACE), bits.choice(*_PLACE)
    covers = left <= 0 and top <= 0
    return covers and left + shape.width >= coded.width and top + shape.height >= coded.height


def _blending(bits: Bits, coded: Coded, whole: bool) -> bool:
    """Whether the frame replaces what was there."""
    mode = bits.choice((0, 0), (1, 0), (2, 0), (3, 2))
    by_alpha = coded.channels > 0 and mode in (_BLEND, _WEIGHTED)
    if by_alpha:
        bits.choice((0, 0), (1, 0), (2, 0), (3, 3))
    if by_alpha or mode == _MULTIPLY:
        bits.flag()
    if mode != _REPLACE or not whole:
        bits.take(2)
    return mode == _REPLACE


def _filters(bits: Bits, modular: bool) -> None:
    if bits.flag():
        return
    if bits.flag() and bits.flag():  # smoothing with weights of its own
        bits.take(6 * 16)
    if bits.take(2):  # edges are preserved
        if not modular and bits.flag():
            bits.take(8 * 16)
        if bits.flag():
            bits.take(5 * 16)
        if bits.flag():
            bits.take(3 * 16 if modular else 4 * 16)
        if modular:
            bits.take(16)
    bits.extensions()


def _entries(shape: _Shape) -> int:
    """The number of sections: one, or the common ones, those of low resolution, and those of each pass."""
    groups = -(-shape.width // shape.group) * -(-shape.height // shape.group)
    if groups == 1 and shape.passes == 1:
        return 1
    low = -(-shape.width // (8 * shape.group)) * -(-shape.height // (8 * shape.group))
    return 2 + low + groups * shape.passes
