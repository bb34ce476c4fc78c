"""Cursors: where the next page of a list begins.

Guarantee: `decode` accepts every cursor that `encode` made and refuses anything else with CURSOR_INVALID. Cursors are
opaque, so that clients do not build their own and the order of a list can change without breaking clients.
"""

from __future__ import annotations

import base64
import binascii
import re

from pipeline.core.errors import RequestError

Position = tuple[int, str]
"""The last item of a page: its creation time, in the unit of its list, and its id."""

_POSITION = re.compile(r"([0-9]{1,18}):([0-9A-Za-z-]{1,64})")
_LATEST = 253_402_300_799_999_999  # the end of the year 9999 in microseconds: Python's datetime ends there


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
