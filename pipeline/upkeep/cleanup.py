"""Cleanup: what remains of an ended upload is removed, and its reservation is released last.

Guarantee: nothing is removed while a stage of the upload may still be writing; everything is removed before the bytes
go back to the budget; and an upload stays on the list of ended ones until all of it is gone, however often that has to
be tried. What became a content asks neither store nor PostgreSQL, and never waits behind what does: its bytes are what
admission waits for while a store hangs.
"""

from __future__ import annotations

import asyncio

from pipeline.core.errors import RequestError, SluiceError, TempVolumeError
from pipeline.core.journal import Ended, Journal
from pipeline.core.lifecycle import Status
from pipeline.core.model import ObjectTarget, Upload, object_key, thumbnail_key
from pipeline.core.stages import Stage
from pipeline.ports import (
    ContentRepository,
    EndedList,
    ReservationLedger,
    Stores,
    TempVolume,
    UploadBoard,
    UploadJournals,
)
from pipeline.telemetry import Log, logger
from pipeline.uploads.recovery import Recovery, ended_otherwise

_BUSY_SECONDS = 0.2
_FAILED_SECONDS = 5.0
_AT_ONCE = 8


class Cleanup:
    """Cleans up ended uploads of one temp volume."""

    def __init__(
        self,
        ended: EndedList,
        board: UploadBoard,
        ledger: ReservationLedger,
        volume: TempVolume,
        stores: Stores,
        contents: ContentRepository,
        journals: UploadJournals,
        recovery: Recovery,
    ) -> None:
        self._ended = ended
        self._board = board
        self._ledger = ledger
        self._volume = volume
        self._stores = stores
        self._contents = contents
        self._journals = journals
        self._recovery = recovery
        self._here = asyncio.Semaphore(_AT_ONCE)
        self._elsewhere = asyncio.Semaphore(_AT_ONCE)

    async def clean(self, upload_id: str) -> bool:
        """Clean up one ended upload; False when it has to wait. Idempotent."""
        log = logger(upload_id=upload_id)
        try:
            async with self._here:
                upload, journal = await self._look(upload_id)
                if upload is None:
                    return False
                if upload.status is Status.READY:
                    return await self._remove(upload, journal)
            async with self._elsewhere:
                upload, journal = await self._look(upload_id)  # it may have waited for minutes
                return upload is not None and await self._remove(upload, journal)
        except RequestError:  # its record is gone: what there is of it is an orphan, for the reaper's slow sweep
            await self._ended.drop(self._volume.name, upload_id)
            return True
        except SluiceError as error:
            log.warning(Log.CLEANUP_DEFERRED, code=error.code, reason=error.message)
            await self._ended.defer(self._volume.name, upload_id, _FAILED_SECONDS)
            return False

    async def _look(self, upload_id: str) -> tuple[Upload | None, Journal | None]:
        """An upload that can be cleaned up now, and its journal; no upload where it has to wait."""
        if await self._ended.busy(upload_id):
            await self._ended.defer(self._volume.name, upload_id, _BUSY_SECONDS)
            return None, None
        upload = await self._board.get(upload_id)
        journal = await self._journal(upload_id)
        if journal is not None and ended_otherwise(journal, upload):
            await self._recovery.recover(upload_id)
            return None, None
        return upload, journal

    async def _remove(self, upload: Upload, journal: Journal | None) -> bool:
        # Redis may have lost what was begun; the journal, or a record that was made from it, knows.
        begun = upload.recovered_at_ms is not None or (journal is not None and journal.is_begun)
        if await self._is_content(upload, begun):
            await self._recovery.was_ready(upload)
            return False
        error = (upload.error_code, upload.error_message or "") if upload.error_code else None
        await self._journals.end(upload.upload_id, Ended(upload.status, error))
        if upload.status is not Status.READY:
            await self.remove_stored(upload, begun=begun)
        await self._volume.remove(upload.upload_id)
        freed = await self._ledger.release(upload.upload_id)
        if upload.status is not Status.READY and await self._may_still_write(upload):
            return False
        await self._board.mark_cleaned(upload.upload_id)
        log = logger(upload_id=upload.upload_id)
        log.info(Log.UPLOAD_CLEANED, status=str(upload.status), freed_bytes=freed)
        return True

    async def _journal(self, upload_id: str) -> Journal | None:
        """A disk that cannot be read says nothing."""
        try:
            return await self._journals.read(upload_id)
        except TempVolumeError:
            return None

    async def _is_content(self, upload: Upload, begun: bool) -> bool:
        """It became a content in a second that Redis has lost, or its last stage could not say so: that it then failed
        takes nothing back. Only its client can, by cancelling or deleting it."""
        ended_by_us = upload.status in (Status.FAILED, Status.EXPIRED)
        if not ended_by_us or not (begun or upload.segments_stored == upload.plan.count):
            return False
        try:
            await self._contents.get(upload.upload_id)
        except RequestError:
            return False
        return True

    async def _may_still_write(self, upload: Upload) -> bool:
        """A client that holds a grant can send after its upload was cleaned up; when the last has lapsed it is cleaned
        up once more."""
        moment_ms = upload.grants_until_ms
        return moment_ms is not None and await self._ended.defer_until(self._volume.name, upload.upload_id, moment_ms)

    async def remove_stored(self, upload: Upload, *, begun: bool = False) -> None:
        """Whatever a stage that has run at least once may have left in the store or the database; `begun`: any may
        have. Idempotent; of an upload that has ended without a content alone. Raises StoreError, StoreUnavailable,
        DependencyUnavailable."""

        def has_run(stage: Stage) -> bool:
            return begun or upload.recovered_at_ms is not None or upload.stages[stage].attempt > 0

        if has_run(Stage.PERSIST):
            await self._contents.delete(upload.upload_id)
        if has_run(Stage.THUMBNAIL):
            await self._stores.named(upload.store).delete(thumbnail_key(upload.upload_id))
        if has_run(Stage.TRANSFER) or upload.grants_until_ms is not None:
            session = upload.target_session or ""
            await self._stores.named(upload.store).abort(
                ObjectTarget(upload.upload_id, object_key(upload.upload_id), upload.content_type, upload.plan, session)
            )
