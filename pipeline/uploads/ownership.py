"""Compares the owner of an upload with that of its caller.

Guarantee: for an upload of another owner, a caller gets the same error as for one that does not exist, after the same
steps: one read from Redis and one look for a journal. Only successful comparisons are cached.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Final
from uuid import uuid4

from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.ports import JournalReader, UploadReader

_REMEMBERED: Final = 10_000


class Ownership:
    """Of the uploads of one cell."""

    def __init__(self, uploads: UploadReader, journals: JournalReader) -> None:
        self._uploads = uploads
        self._journals = journals
        self._own: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def require(self, upload_id: str, owner: str) -> None:
        """Raises RequestError UPLOAD_NOT_FOUND unless the upload is this owner's; DependencyUnavailable
        UPLOAD_RECOVERING if it is, and Redis has lost it."""
        if (owner, upload_id) in self._own:
            return
        found = await self._uploads.owner(upload_id)
        if found == owner:
            self._remember(owner, upload_id)
            return
        # Of another owner's upload the journal is not read, but a file that does not exist is looked for in its place.
        journal = await self._journals.read(upload_id if found is None else str(uuid4()))
        if journal is not None and journal.new.owner == owner:
            raise DependencyUnavailable("UPLOAD_RECOVERING", upload_id=upload_id)
        raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)

    async def require_permit(self, upload_id: str, permit_id: str) -> None:
        """Raises RequestError UPLOAD_NOT_FOUND unless the upload was created with this permit; DependencyUnavailable
        UPLOAD_RECOVERING if it was, and Redis has lost it."""
        mark = f"permit {permit_id}"  # no owner has this name
        if (mark, upload_id) in self._own:
            return
        found = await self._uploads.permit_id(upload_id)
        if found == permit_id:
            self._remember(mark, upload_id)
            return
        journal = await self._journals.read(upload_id if found is None else str(uuid4()))
        if journal is not None and journal.new.permit is not None and journal.new.permit.permit_id == permit_id:
            raise DependencyUnavailable("UPLOAD_RECOVERING", upload_id=upload_id)
        raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)

    async def knows(self, upload_id: str) -> bool:
        """Whether the cell has the upload, of whichever owner. While Redis is unavailable, only its journal shows
        that. What cannot be read is not known."""
        with suppress(DependencyUnavailable):
            if await self._uploads.owner(upload_id) is not None:
                return True
        with suppress(TempVolumeError):
            return await self._journals.read(upload_id) is not None
        return False

    def _remember(self, owner: str, upload_id: str) -> None:
        self._own[owner, upload_id] = None
        while len(self._own) > _REMEMBERED:
            self._own.popitem(last=False)
