"""Range requests, RFC 9110 section 14.2, of one version of an object.

Guarantee: what is read is the range that was asked for, whole, and of the version that was asked for, as far as the
store names it. A store that sends another range, more bytes or fewer is an error, not a file with wrong bytes.
"""

from __future__ import annotations

import re

from pipeline.adapters.object_store.http.bodies import unusable
from pipeline.adapters.object_store.integrity import unquoted
from pipeline.core.errors import StoreError

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)", re.ASCII | re.IGNORECASE)


def range_header(first: int, last: int | None) -> dict[str, str]:
    """The header that asks for bytes `first` to `last` (inclusive; None: to the end). Empty for the whole object."""
    if first == 0 and last is None:
        return {}
    return {"Range": f"bytes={first}-{'' if last is None else last}"}


def length_of_range(content_range: str | None, first: int, last: int | None, what: str) -> int:
    """How many bytes a response with this Content-Range has. Raises StoreUnavailable when they are not those that were
    asked for; the range may end earlier, at the object's end."""
    match = _CONTENT_RANGE.fullmatch((content_range or "").strip())
    if match is None:
        raise unusable(what, f"Content-Range is {content_range!a}")
    begin, end = int(match[1]), int(match[2])
    if begin != first or end < begin or (last is not None and end > last):
        wanted = f"{first}-{'' if last is None else last}"
        raise unusable(what, f"bytes {begin}-{end} came, {wanted} were requested")
    return end - begin + 1


def require_version(etag: str | None, responded: object, key: str) -> None:
    """Compare the ETag of a response with that of the version to read (None: any). Raises StoreError OBJECT_CHANGED.
    A response without an ETag says nothing.

    If-Match would do the same in the server. But Ceph 16 refuses a manifest (412) with the ETag that it shows itself.
    """
    found = unquoted(responded)
    if etag and found and found != etag:
        raise StoreError("OBJECT_CHANGED", key=key)


class ByteCount:
    """Counts the bytes of a body that must have `size_bytes` (None: any number)."""

    def __init__(self, size_bytes: int | None, what: str) -> None:
        self._size_bytes = size_bytes
        self._what = what
        self._passed_bytes = 0

    def add(self, block: bytes) -> None:
        """Raises StoreUnavailable when there are too many."""
        self._passed_bytes += len(block)
        if self._size_bytes is not None and self._passed_bytes > self._size_bytes:
            raise unusable(self._what, f"it has more than {self._size_bytes} bytes")

    def end(self) -> None:
        """Raises StoreUnavailable when there were too few."""
        if self._size_bytes is not None and self._passed_bytes != self._size_bytes:
            raise unusable(self._what, f"it has {self._passed_bytes} bytes, expected {self._size_bytes}")
