"""Makes plain, bounded values of what a file declares.

Guarantee: each function returns a value within the stated limits, or None; none of them raises. Text is without control
characters and without characters that reverse the direction of what follows, because databases refuse NUL, terminals
obey escapes, and people trust what they read. Everything else is kept as it is: joiners, emoji, private characters.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

MAX_SECONDS = 10 * 365 * 86400.0  # a longer duration means that the header is damaged
_MAX_INTEGER = 2**63 - 1

_SEPARATORS = re.compile("[\t-\r\x1c-\x1e\x85\u2028\u2029]+")
"""Tabs, and ends of lines and paragraphs: one space."""
_REMOVED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""The other control characters; bidirectional embeddings, overrides and isolates (Unicode Standard Annex 9, 2)."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def text(value: object, limit: int = 256) -> str | None:
    """At most `limit` characters of text; None for no text. Unpaired surrogates become U+FFFD."""
    if not isinstance(value, str):
        return None
    part = _SURROGATE.sub("\ufffd", _REMOVED.sub("", _SEPARATORS.sub(" ", value[: 4 * limit])))
    return part.strip()[:limit].strip() or None


def language(value: object) -> str | None:
    """A language tag; None if the file says that it is undetermined (`und`)."""
    tag = text(value, 16)
    return None if tag in ("und", "unknown") else tag


def count(value: int | None) -> int | None:
    """A whole number from 1 to 2^63 - 1."""
    return value if value is not None and 1 <= value <= _MAX_INTEGER else None


def within(value: int | None, limit: int) -> int | None:
    """A whole number from 1 to `limit`."""
    return value if value is not None and 1 <= value <= limit else None


def pixels(value: int | None) -> int | None:
    """A length in pixels: 1 to 2^31 - 1."""
    return within(value, 2**31 - 1)


def seconds(value: float | Fraction | None) -> float | None:
    """A duration of more than zero seconds and less than ten years."""
    if value is None:
        return None
    result = float(value)
    return result if math.isfinite(result) and 0 < result < MAX_SECONDS else None
