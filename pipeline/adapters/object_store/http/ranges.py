"""Range requests, RFC 9110 section 14.2."""

from __future__ import annotations


def range_header(first: int, last: int | None) -> dict[str, str]:
    """The header that asks for bytes `first` to `last` (inclusive; None: to the end). Empty for the whole object."""
    if first == 0 and last is None:
        return {}
    return {"Range": f"bytes={first}-{'' if last is None else last}"}
