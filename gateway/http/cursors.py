"""Cursors of lists: where the next page begins, opaque to clients.

Guarantee: what `encode` gave out, `decode` takes; anything else is CURSOR_INVALID. Opaque, so that clients do not build
their own and the order of lists can change without breaking them.
"""

from __future__ import annotations

import base64
import binascii
import re

from pipeline.core.errors import RequestError

Position = tuple[int, str]
"""The last item of a page: when it was created, in whatever unit its list counts, and its id."""

_POSITION = re.compile(r"([0-9]{1,18}):([0-9A-Za-z-]{1,64})")
_LATEST = 253_402_300_799_999_999  # the year 9999 in microseconds: beyond it, what reads the position cannot count


def encode(position: Position) -> str:
    return base64.urlsafe_b64encode(f"{position[0]}:{position[1]}".encode()).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """Raises RequestError CURSOR_INVALID."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise RequestError("CURSOR_INVALID") from None
    match = _POSITION.fullmatch(text)
    if match is None or int(match[1]) > _LATEST:
        raise RequestError("CURSOR_INVALID")
    return int(match[1]), match[2]
