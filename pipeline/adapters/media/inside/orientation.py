"""How a stored picture is turned for display: the one place for all containers.

Guarantee: whatever a file states becomes a rotation of 0, 90, 180 or 270 degrees clockwise, and a flip from left to
right that comes before it, as `schemas.media.VideoStream` defines them. Pure.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import NamedTuple

from schemas.media import Rotation

_QUARTERS: tuple[Rotation, ...] = (0, 90, 180, 270)


class Orientation(NamedTuple):
    """Degrees clockwise, and whether the picture is flipped left to right before it is turned."""

    rotation: Rotation = 0
    mirrored: bool = False


UPRIGHT = Orientation()
Matrix = tuple[float, float, float, float]
"""a, b, c, d of ISO/IEC 14496-12, 6.2.2: (x, y) becomes (ax + cy, bx + dy), with y downwards."""

# Exif 2.32, 4.6.4 A, tag 0x0112; TIFF 6.0, section 8; JPEG XL (ISO/IEC 18181-1, D.3) has the same numbers.
_EXIF = {
    1: UPRIGHT,
    2: Orientation(0, True),
    3: Orientation(180, False),
    4: Orientation(180, True),
    5: Orientation(270, True),
    6: Orientation(90, False),
    7: Orientation(90, True),
    8: Orientation(270, False),
}
_ORIENTATION_TAG, _SHORT, _LONG = 0x0112, 3, 4
_MAX_ENTRIES = 4096


def of_exif_value(value: int) -> Orientation:
    """The meaning of Exif's numbers 1 to 8; upright for any other."""
    return _EXIF.get(value, UPRIGHT)


def of_tiff(tiff: bytes) -> Orientation | None:
    """What the first directory of a TIFF structure states, which Exif data is; None if it states nothing."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
    except struct.error:
        return None
    return of_directory(tiff[directory + 2 : directory + 2 + 12 * entries], order)


def of_directory(entries: bytes, order: str) -> Orientation | None:
    """The same from the entries of the directory, 12 bytes each (TIFF 6.0, section 2)."""
    for at in range(0, min(len(entries) - 11, 12 * _MAX_ENTRIES), 12):
        tag, kind = struct.unpack_from(order + "HH", entries, at)
        if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
            (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), entries, at + 8)
            return _EXIF.get(value)
    return None


def of_exif(exif: bytes) -> Orientation | None:
    """The same for an Exif block, which may begin with its signature."""
    return of_tiff(exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\xff"))


def of_matrix(matrix: Matrix) -> Orientation:
    """The quarter turn that is closest to a display matrix. A negative determinant is a flip."""
    a, b, c, d = matrix
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if abs(a) >= abs(b):
        return Orientation(0 if a >= 0 else 180, mirrored)
    return Orientation(90 if b > 0 else 270, mirrored)


def of_degrees(clockwise: float) -> Orientation:
    """The quarter turn that is closest to `clockwise` degrees."""
    if not math.isfinite(clockwise):
        return UPRIGHT
    return Orientation(_QUARTERS[round(clockwise / 90) % 4], False)


def of_roll(yaw: float, pitch: float, roll: float) -> Orientation:
    """Matroska's rectangular projection (RFC 9559, 5.1.4.1.28.41): `roll` counts counterclockwise, and a yaw of half a
    turn flips the picture. Upright where the picture is not flat."""
    if pitch or yaw not in (0.0, 180.0, -180.0) or not math.isfinite(roll):
        return UPRIGHT
    angle = math.radians(roll if yaw else -roll)
    flip = -1 if yaw else 1
    return of_matrix((flip * math.cos(angle), math.sin(angle), -flip * math.sin(angle), math.cos(angle)))


def of_heif(transforms: Iterable[tuple[bytes, int]]) -> Orientation:
    """The properties irot and imir of an item in their order, with their value (ISO/IEC 23008-12, 6.5.10 and 6.5.12).

    irot counts quarter turns counterclockwise; imir swaps top and bottom (0), or left and right (1)."""
    turns, mirrored = 0, False
    for name, value in transforms:
        if name == b"irot":
            turns -= value & 3
        elif name == b"imir":  # top and bottom: a flip from left to right and half a turn
            turns = -turns + (0 if value & 1 else 2)
            mirrored = not mirrored
    return Orientation(_QUARTERS[turns % 4], mirrored)
