"""Byte ranges (RFC 9110 section 14). Pure functions.

Guarantee: the only refusal is 416, when no requested range has a byte of the object. Several ranges that are together
one range are sent as one; for any others the whole object is sent, as for a header that is malformed or in another unit
(section 14.2 allows both).
"""

from __future__ import annotations

import re

from pipeline.core.errors import RequestError

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_MAX_RANGES = 100
_BEYOND = 10**19
"""Beyond the end of every object."""

Range = tuple[int, int]
"""First and last byte, both inclusive."""


def requested_range(value: str | None, size_bytes: int) -> Range | None:
    """The requested range, clipped to the size. None: send everything. Raises RequestError RANGE_NOT_SATISFIABLE."""
    unit, _, specs = (value or "").partition("=")
    items = [item.strip(" \t") for item in specs.split(",")]
    found = [_SPEC.fullmatch(item) for item in items if item]
    if unit.strip(" \t").lower() != "bytes" or not 0 < len(found) <= _MAX_RANGES:
        return None
    ranges: list[Range] = []
    for spec in found:
        if spec is None or not (spec[1] or spec[2]):
            return None
        first, last = _number(spec[1]), _number(spec[2])
        if spec[1] and spec[2] and last < first:
            return None  # malformed: section 14.1.1
        if not spec[1]:  # a suffix range: the last N bytes
            first, last = max(0, size_bytes - last), size_bytes - 1 if last else -1
        elif not spec[2] or last >= size_bytes:
            last = size_bytes - 1
        if first <= last:
            ranges.append((first, last))
    if not ranges:
        raise RequestError("RANGE_NOT_SATISFIABLE", size_bytes=size_bytes)
    return _joined(ranges)


def _joined(ranges: list[Range]) -> Range | None:
    """The one range that these are together, or None where bytes between them were not requested."""
    ranges = sorted(ranges)
    first, last = ranges[0]
    for start, end in ranges[1:]:
        if start > last + 1:
            return None
        last = max(last, end)
    return first, last


def _number(digits: str) -> int:
    """Python refuses to convert thousands of digits, which a header can contain."""
    significant = digits.lstrip("0")
    return int(significant or 0) if len(significant) < len(str(_BEYOND)) else _BEYOND
