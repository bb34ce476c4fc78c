"""The journals of uploads: what the temp volume remembers of them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.core.journal import Ended, Entry, Journal
from pipeline.core.model import NewUpload


class UploadJournals(Protocol):
    """A journal for each upload of a temp volume, from its registration until it is cleaned up. Errors:
    TempVolumeError."""

    async def begin(self, new: NewUpload) -> None:
        """Begin an upload's journal. Idempotent: one that is there stays as it is."""

    async def note(self, upload_id: str, *entries: Entry) -> None:
        """Append entries, all or (after a crash) some of them, in order. Nothing happens where there is no journal:
        the upload has been cleaned up."""

    async def read(self, upload_id: str) -> Journal | None:
        """What an upload's journal says; None where there is none that can be read."""

    async def ids(self) -> Sequence[str]:
        """Every upload that has a journal, in order of creation."""

    async def end(self, upload_id: str, ended: Ended) -> None:
        """Note that the upload has ended. Its journal stays for a while: a Redis that comes back without its last
        second must not take the upload for one that lives. Idempotent; nothing happens where there is no journal."""

    async def ended(self, idle_seconds: float) -> Sequence[str]:
        """Uploads whose journals say that they have ended, and were not added to for so long."""

    async def remove(self, upload_ids: Sequence[str]) -> None:
        """Remove journals of uploads that have ended, and what was begun as a journal and never became one."""
