"""Conditional requests and byte ranges (RFC 9110 sections 13 and 14). Pure functions.

Guarantee: the only refusal is 416, for a well-formed range beyond the end. A Range header that is malformed, in another
unit or names several ranges is ignored, as section 14.2 allows, and the whole object is sent.
"""

from __future__ import annotations

import re

from pipeline.core.errors import RequestError

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)
_ETAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def requested_range(value: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First and last byte (inclusive) of the requested range, clipped to the size. None: send everything.

    Raises RequestError RANGE_NOT_SATISFIABLE.
    """
    found = _RANGE.fullmatch(value or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # a suffix range: the last N bytes
        first, last = max(0, size_bytes - int(found[2])), size_bytes - 1
        satisfiable = int(found[2]) > 0 and size_bytes > 0
    else:
        first, last = int(found[1]), min(int(found[2] or size_bytes - 1), size_bytes - 1)
        if found[2] and int(found[2]) < first:
            return None  # malformed: section 14.1.1
        satisfiable = first < size_bytes
    if not satisfiable:
        raise RequestError("RANGE_NOT_SATISFIABLE", size_bytes=size_bytes)
    return first, last


def matches_any(value: str | None, etag: str) -> bool:
    """Whether If-None-Match lists `etag` (unquoted), by weak comparison. `*` matches any."""
    if value is None:
        return False
    return value.strip() == "*" or etag in _ETAG.findall(value)


def range_applies(if_range: str | None, etag: str) -> bool:
    """Whether If-Range equals `etag`, by strong comparison. A date never matches, since no Last-Modified is sent."""
    return if_range is None or if_range.strip() == f'"{etag}"'
