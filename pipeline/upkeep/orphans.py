"""OrphanedObjects: what came to lie in a store after its upload had been cleaned up, and belongs to nobody.

A worker that was frozen may wake up and put one more segment or open one more transfer; a client may take hours over a
request that it began in its grant's last second; a process that is killed leaves half-written files.

Guarantee: nothing that could be a content is removed. An upload is looked at again only while its own record says that
it ended without a content and was cleaned up. Of uploads that nobody knows any more, only transfers that were begun and
never sealed are ended, and only after a week: their objects and segments may be another installation's, or contents of
a database that was restored, and are left alone. Every step may be done twice, by several at once.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from pipeline.core.errors import RequestError, StoreError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Upload, owner_of
from pipeline.ports import Drafts, Store, Stores, TransferSessions, UploadBoard
from pipeline.telemetry import Log, logger
from pipeline.upkeep.cleanup import Cleanup

_PAGE = 200
_WITHOUT_CONTENT = (Status.FAILED, Status.EXPIRED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class OrphanRules:
    """`look_back_seconds`: how long after its cleanup an upload is looked at again, by every sweep.
    `unknown_seconds`: the age from which a transfer is ended whose upload nobody knows. `draft_seconds`: for how long
    nobody has written to what is given up as half written."""

    look_back_seconds: float = 6 * 3600.0
    unknown_seconds: float = 7 * 24 * 3600.0
    draft_seconds: float = 6 * 3600.0


class OrphanedObjects:
    """Finds and removes them, in every store that is set up here."""

    def __init__(self, board: UploadBoard, stores: Stores, cleanup: Cleanup, rules: OrphanRules) -> None:
        self._board = board
        self._stores = stores
        self._cleanup = cleanup
        self.rules = rules

    async def sweep(self) -> None:
        """Look once. A store that is away keeps nobody from looking into the others; the next sweep begins anew. Raises
        DependencyUnavailable."""
        async for upload in self._lately_cleaned():
            with _deferred(upload.store):
                await self._cleanup.remove_stored(upload)
        for store in self._stores.every():
            with _deferred(store.name):
                if isinstance(store, TransferSessions):
                    await self._end_sessions(store, store)
                if isinstance(store, Drafts):
                    removed = await store.remove_drafts(self.rules.draft_seconds)
                    if removed:
                        logger(store=store.name).warning(Log.ORPHANED_OBJECT_REMOVED, what="drafts", count=removed)

    async def _lately_cleaned(self) -> AsyncIterator[Upload]:
        since_ms = (time.time() - self.rules.look_back_seconds) * 1000
        for status in _WITHOUT_CONTENT:
            before: tuple[int, str] | None = None
            while page := await self._board.page(status, before, _PAGE):
                for item in page:
                    if (item.upload.released_at_ms or 0) >= since_ms:
                        yield item.upload
                before = (page[-1].upload.created_at_ms, page[-1].upload.upload_id)

    async def _end_sessions(self, store: Store, sessions: TransferSessions) -> None:
        async for key, session in sessions.open_sessions():
            upload_id = owner_of(key)
            if upload_id is not None and await self._belongs_to_nobody(upload_id):
                await sessions.end_session(key, session)
                logger(upload_id=upload_id, store=store.name).warning(
                    Log.ORPHANED_OBJECT_REMOVED, what="session", count=1
                )

    async def _belongs_to_nobody(self, upload_id: str) -> bool:
        """Until its cleanup a session is the cleanup's to end, which finds every one of the upload's."""
        try:
            upload = await self._board.get(upload_id)
        except RequestError:
            return _age_seconds(upload_id) > self.rules.unknown_seconds
        return upload.status in ENDED and upload.released_at_ms is not None


@contextmanager
def _deferred(store: str) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        logger(store=store).warning(Log.ORPHANED_OBJECTS_DEFERRED, code=error.code, reason=error.message)


def _age_seconds(upload_id: str) -> float:
    """Since it was created, which its id tells (RFC 9562 section 5.7); 0 for what is no such id."""
    try:
        number = UUID(upload_id)
    except ValueError:
        return 0.0
    return time.time() - (number.int >> 80) / 1000 if number.version == 7 else 0.0
