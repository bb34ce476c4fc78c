"""What a comparison of the rows of contents with the objects in the stores can find."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Kinds of findings."""

    MISSING = "missing"
    """A content whose object or thumbnail the store does not have."""
    WRONG_SIZE = "wrong_size"
    WRONG_DIGEST = "wrong_digest"
    """Its bytes, or what the store says of them, have another digest than the row."""
    UNREADABLE = "unreadable"
    """The store has it, but does not return its bytes: a segment of it may be missing."""
    ORPHANED = "orphaned"
    """Objects, segments or open multipart uploads that belong to no content and to no upload."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them. `upload_id`: of the content, or of the upload that an orphaned object was stored for."""

    fault: Fault
    store: str
    upload_id: str
    name: str
    reason: str


class Pace:
    """Slows work down to `bytes_per_second`; None: as fast as it goes."""

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def spend(self, count: int) -> None:
        """Return when `count` more bytes may have been read."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + count / self._rate
        await asyncio.sleep(self._free_at - now)
