"""Extracts plain values from the JSON that a tool wrote about an untrusted file.

Guarantee: for any JSON, each function returns a value of its type within the stated limits, or None (or an empty
mapping or list). None of them raises. Text is printable, because databases refuse NUL and terminals obey escapes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_MAX_INTEGER = 2**63 - 1
_MAX_SECONDS = 10 * 365 * 86400.0  # a longer duration means that the header is damaged


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def mappings(value: Any, limit: int) -> Sequence[Mapping[str, Any]]:
    """Those of the first `limit` entries of a list that are mappings."""
    return [entry for entry in value[:limit] if isinstance(entry, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """A finite number, from a JSON number or a string."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value[:64] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def count(value: Any) -> int | None:
    """A whole number from 0 to 2^63 - 1."""
    if isinstance(value, str) and value[:20].isascii() and value[:20].isdigit():
        value = int(value[:20])
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MAX_INTEGER else None
    result = number(value)
    return int(result) if result is not None and 0 <= result < 2**63 else None


def pixels(value: Any) -> int | None:
    """A length in pixels: 1 to 2^31 - 1."""
    result = count(value)
    return result if result is not None and 1 <= result < 2**31 else None


def seconds(value: Any) -> float | None:
    """A duration of more than zero seconds and less than ten years."""
    result = number(value)
    return result if result is not None and 0 < result < _MAX_SECONDS else None


def fraction(value: Any) -> float | None:
    """`30000/1001` or `4:3` as a positive number; None for `0/0` and the like."""
    if not isinstance(value, str):
        return None
    above, _, below = value[:64].replace(":", "/").partition("/")
    dividend, divisor = number(above), number(below)
    if not dividend or not divisor or dividend < 0 or divisor < 0:
        return None
    result = dividend / divisor
    return result if math.isfinite(result) and result > 0 else None


def text(value: Any, limit: int = 256) -> str | None:
    """Printable text of at most `limit` characters; None for no text and for ffprobe's words for unknown values."""
    if not isinstance(value, str):
        return None
    printable = "".join(character if character.isprintable() else " " for character in value[: 4 * limit])
    result = " ".join(printable.split())[:limit].strip()
    return result if result and result not in ("unknown", "N/A", "und", "reserved") else None
