"""Orphaned objects: what a store received after the upload had been cleaned up, and belongs to no content.

A worker that was frozen may wake up and store another segment or open another session; a client may spend hours on a
request that it began in its grant's last second; a killed process leaves half-written files.

Guarantee: nothing that could be a content is removed. Uploads are checked again only while their record says that they
ended without a content and were cleaned up. Of uploads without a record, only sessions that were begun and never sealed
are ended, and only after a week: their objects and segments may belong to another installation, or to contents of a
restored database, and are left alone. Sessions of uploads that name another cell are ended by that cell. Nothing is
removed of an upload that failed for an unexpected reason: an operator decides (`upkeep.cleanup`). Every step may be
repeated, by several processes at once.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from pipeline.core.cells import is_of_another
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Upload
from pipeline.core.stored_objects import upload_of
from pipeline.logs import Log, logger
from pipeline.ports import Drafts, Store, Stores, TransferSessions, UploadReader
from pipeline.sweeps import Sweep
from pipeline.upkeep.cleanup import Cleanup

_PAGE = 200
_WITHOUT_CONTENT = (Status.FAILED, Status.EXPIRED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class OrphanRules:
    """`look_back_seconds`: every sweep checks uploads that were cleaned up within this time. `unknown_seconds`: a
    session of an upload without a record is ended from this age on. `draft_seconds`: a half-written file is removed
    when nothing was written to it for this time. `own` and `cells`: the numbers of this cell and of all cells."""

    look_back_seconds: float = 6 * 3600.0
    unknown_seconds: float = 7 * 24 * 3600.0
    draft_seconds: float = 6 * 3600.0
    own: int = 0
    cells: frozenset[int] = frozenset()


class OrphanedObjects:
    """Finds and removes them in every configured store."""

    def __init__(self, uploads: UploadReader, stores: Stores, cleanup: Cleanup, rules: OrphanRules) -> None:
        self._uploads = uploads
        self._stores = stores
        self._cleanup = cleanup
        self.rules = rules

    async def sweep(self) -> None:
        """Check once. What fails for one upload, session or store does not prevent the others from being checked.
        Raises DependencyUnavailable."""
        sweep = Sweep(Log.ORPHANED_OBJECTS_DEFERRED)
        async for upload in self._cleaned_recently():
            with sweep.item(store=upload.store, upload_id=upload.upload_id):
                await self._cleanup.remove_stored(upload)
        for store in self._stores.every():
            if isinstance(store, TransferSessions):
                with sweep.item(store=store.name, what="sessions"):
                    await self._end_sessions(store, store, sweep)
            if isinstance(store, Drafts):
                with sweep.item(store=store.name, what="drafts"):
                    await self._remove_drafts(store, store)
        sweep.end()

    async def _cleaned_recently(self) -> AsyncIterator[Upload]:
        since_ms = (time.time() - self.rules.look_back_seconds) * 1000
        for status in _WITHOUT_CONTENT:
            before: tuple[int, str] | None = None
            while page := await self._uploads.page(status, before, _PAGE):
                for snapshot in page:
                    if (snapshot.upload.released_at_ms or 0) >= since_ms:
                        yield snapshot.upload
                last = page[-1].upload
                before = (last.created_at_ms, last.upload_id)

    async def _end_sessions(self, store: Store, sessions: TransferSessions, sweep: Sweep) -> None:
        async for key, session in sessions.open_sessions():
            upload_id = upload_of(key)
            if upload_id is None:
                continue
            with sweep.item(store=store.name, upload_id=upload_id, what="session"):
                if await self._is_orphaned(upload_id):
                    await sessions.end_session(key, session)
                    log = logger(upload_id=upload_id, store=store.name)
                    log.warning(Log.ORPHANED_OBJECT_REMOVED, what="session", count=1)

    async def _remove_drafts(self, store: Store, drafts: Drafts) -> None:
        removed = await drafts.remove_drafts(self.rules.draft_seconds)
        if removed:
            logger(store=store.name).warning(Log.ORPHANED_OBJECT_REMOVED, what="drafts", count=removed)

    async def _is_orphaned(self, upload_id: str) -> bool:
        """False before the upload's cleanup, which finds all of its sessions."""
        try:
            upload = await self._uploads.get(upload_id)
        except RequestError:
            if is_of_another(upload_id, self.rules.own, self.rules.cells):
                return False
            return _age_seconds(upload_id) > self.rules.unknown_seconds
        return upload.status in ENDED and upload.released_at_ms is not None and not upload.keeps_stored


def _age_seconds(upload_id: str) -> float:
    """Time since the upload was created, which its id contains (RFC 9562 section 5.7); 0 for any other id."""
    try:
        number = UUID(upload_id)
    except ValueError:
        return 0.0
    return time.time() - (number.int >> 80) / 1000 if number.version == 7 else 0.0
