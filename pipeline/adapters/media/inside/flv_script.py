"""Counts the properties in the script data of an FLV file (Video File Format 10, E.4.4), which become tags.

Guarantee: reads the tags before the first picture or sound, visits at most 50,000 values, no recursion; any bytes give
a number.
"""

from __future__ import annotations

from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import read_at

_HEADER_BYTES = 13
_MAX_TAGS = 16
_MAX_SCRIPT_BYTES = 16 * 1024 * 1024
_MAX_VALUES = 50_000
_SCRIPT = 18
_FIXED = {0: 8, 1: 1, 5: 0, 6: 0, 7: 2, 11: 10}  # number, boolean, null, undefined, reference, date
_STRING, _LONG_STRING, _OBJECT, _NAMED, _LIST = 2, 12, 3, 8, 10


def script_properties(file: BinaryIO, size_bytes: int) -> int:
    """How many properties the objects have, those within others included."""
    at, found = _HEADER_BYTES, 0
    for _ in range(_MAX_TAGS):
        head = read_at(file, at, 11)
        if len(head) < 11 or at >= size_bytes or head[0] & 0x1F != _SCRIPT:
            break
        length = int.from_bytes(head[1:4], "big")
        found += _properties(read_at(file, at + 11, min(length, _MAX_SCRIPT_BYTES)))
        at += 11 + length + 4
    return found


def _properties(data: bytes) -> int:
    """Walks the values; `open_objects` are those not yet ended, with the number of values left in a list."""
    at, found = 0, 0
    open_objects: list[int | None] = []
    for _ in range(_MAX_VALUES):
        if at >= len(data):
            break
        if open_objects and open_objects[-1] is None:
            length = int.from_bytes(data[at : at + 2], "big")
            at += 2 + length
            if length == 0 and data[at : at + 1] == b"\x09":  # the end of the object
                at += 1
                open_objects.pop()
                continue
            found += 1
        elif open_objects:
            left = (open_objects.pop() or 0) - 1
            if left < 0:
                continue
            open_objects.append(left)
        kind, at = data[at] if at < len(data) else -1, at + 1
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind == _STRING:
            at += 2 + int.from_bytes(data[at : at + 2], "big")
        elif kind == _LONG_STRING:
            at += 4 + int.from_bytes(data[at : at + 4], "big")
        elif kind in (_OBJECT, _NAMED):
            at += 4 if kind == _NAMED else 0
            open_objects.append(None)
        elif kind == _LIST:
            open_objects.append(int.from_bytes(data[at : at + 4], "big"))
            at += 4
        else:
            break
    return found
