"""Cleanup: removes everything of an ended upload; its reservation is released last.

Guarantee: nothing is removed while a stage of the upload may still write; everything is removed before its bytes are
released; and an upload stays on the list of ended uploads until nothing of it is left, however often that has to be
tried. An upload that became a content asks neither the store nor PostgreSQL, and never waits behind one that does:
admission waits for its bytes while a store hangs.

An upload that failed for an unexpected reason (`core.errors.KEEPS_STORED`) keeps what it has in the object store, and
its record does not expire: an operator decides, see docs/operations.md. Its temp file and its reservation are released.
"""

from __future__ import annotations

import asyncio

from pipeline.core.errors import RequestError, SluiceError, TempVolumeError
from pipeline.core.journal import Journal
from pipeline.core.lifecycle import Status
from pipeline.core.model import Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import object_key, thumbnail_key
from pipeline.logs import Log, logger
from pipeline.ports import ContentRepository, EndedList, Stores
from pipeline.sweeps import Sweep
from pipeline.tasks import end_tasks
from pipeline.uploads.cell import CellState
from pipeline.uploads.joined import journal_final_of
from pipeline.uploads.recovery import Recovery, ended_otherwise
from pipeline.uploads.target import target_of

# What the store has of these belongs to a content, or to a final upload.
_OBJECTS_STAY = (Status.READY, Status.JOINED)
_BUSY_SECONDS = 0.2
_FAILED_SECONDS = 5.0
_CONCURRENCY = 8
_BATCH = 200
# Cleanups that take longer continue beside the next batch.
_BATCH_SECONDS = 1.0


class Cleanup:
    """Cleans up ended uploads of one temp volume."""

    def __init__(
        self, cell: CellState, ended: EndedList, stores: Stores, contents: ContentRepository, recovery: Recovery
    ) -> None:
        self._cell = cell
        self._ended = ended
        self._stores = stores
        self._contents = contents
        self._recovery = recovery
        self._local = asyncio.Semaphore(_CONCURRENCY)
        self._remote = asyncio.Semaphore(_CONCURRENCY)

    async def clean(self, upload_id: str) -> bool:
        """Clean up one ended upload; False if it has to wait. Idempotent."""
        volume = self._cell.volume.name
        log = logger(upload_id=upload_id)
        try:
            async with self._local:
                upload, journal = await self._read(upload_id)
                if upload is None:
                    return False
                if upload.status in _OBJECTS_STAY:
                    return await self._remove(upload, journal)
            async with self._remote:
                upload, journal = await self._read(upload_id)  # waiting for the semaphore may have taken minutes
                return upload is not None and await self._remove(upload, journal)
        except RequestError:  # it has no record: what is left of it is orphaned
            await self._ended.drop(volume, upload_id)
            return True
        except SluiceError as error:
            log.warning(Log.CLEANUP_DEFERRED, code=error.code, reason=error.message)
        except Exception:  # a bug in one cleanup must not delay the others
            log.exception(Log.CLEANUP_DEFERRED)
        await self._ended.defer(volume, upload_id, _FAILED_SECONDS)
        return False

    async def _read(self, upload_id: str) -> tuple[Upload | None, Journal | None]:
        """An upload that can be cleaned up now, and its journal; no upload if it has to wait."""
        upload = await self._ended.idle(upload_id)
        if upload is None:
            await self._ended.defer(self._cell.volume.name, upload_id, _BUSY_SECONDS)
            return None, None
        journal = await self._journal(upload_id)
        if journal is not None and ended_otherwise(journal, upload):
            await self._recovery.recover(upload_id)
            return None, None
        return upload, journal

    async def _remove(self, upload: Upload, journal: Journal | None) -> bool:
        # Redis may have lost which stages ran; the journal, or a record restored from it, knows that some did.
        begun = upload.recovered_at_ms is not None or (journal is not None and journal.is_begun)
        if await self._is_content(upload, begun):
            await self._recovery.was_ready(upload)
            return False
        await journal_final_of(self._cell, upload)
        await self._cell.record.journal_end(upload)
        if upload.status not in _OBJECTS_STAY:
            await self.remove_stored(upload, begun=begun)
        await self._cell.volume.remove(upload.upload_id)
        freed = await self._cell.ledger.release(upload.upload_id)
        if upload.status not in _OBJECTS_STAY and await self._client_may_write(upload):
            return False
        await self._cell.record.mark_cleaned(upload.upload_id, forget=not upload.keeps_stored)
        log = logger(upload_id=upload.upload_id)
        if upload.keeps_stored:
            log.error(
                Log.UPLOAD_KEPT,
                code=upload.error_code,
                reason=upload.error_message,
                store=upload.store,
                key=object_key(upload.upload_id),
                segments_stored=upload.segments_stored,
                segment_count=upload.plan.count,
                session=upload.target_session or None,
            )
        log.info(Log.UPLOAD_CLEANED, status=str(upload.status), freed_bytes=freed)
        return True

    async def _journal(self, upload_id: str) -> Journal | None:
        """None also if the disk cannot be read."""
        try:
            return await self._cell.journals.read(upload_id)
        except TempVolumeError:
            return None

    async def _is_content(self, upload: Upload, begun: bool) -> bool:
        """Whether an upload that failed or expired had become a content before: Redis lost that second, or the last
        stage could not record it. Only its client may remove a content, by cancelling or deleting it."""
        ended_by_us = upload.status in (Status.FAILED, Status.EXPIRED)
        if not ended_by_us or not (begun or upload.segments_stored == upload.plan.count):
            return False
        try:
            await self._contents.get(upload.upload_id, None)
        except RequestError:
            return False
        return True

    async def _client_may_write(self, upload: Upload) -> bool:
        """A client that holds a grant can write after the cleanup; the upload is cleaned up again when the last grant
        has expired."""
        moment_ms = upload.grants_until_ms
        if moment_ms is None or upload.keeps_stored:
            return False
        return await self._ended.defer_until(self._cell.volume.name, upload.upload_id, moment_ms)

    async def remove_stored(self, upload: Upload, *, begun: bool = False) -> None:
        """Remove what stages that have run may have written to store and database; `begun`: any stage may have run.
        Only for uploads that ended without a content; removes nothing of those that keep it. Idempotent. Raises
        StoreError, StoreUnavailable, DependencyUnavailable."""
        if upload.keeps_stored:
            return

        def has_run(stage: Stage) -> bool:
            return begun or upload.recovered_at_ms is not None or upload.stages[stage].attempt > 0

        if has_run(Stage.PERSIST):
            await self._contents.delete(upload.upload_id)
        if has_run(Stage.PROBE):  # it may store the thumbnail, and stage `thumbnail` follows it
            await self._stores.named(upload.store).delete(thumbnail_key(upload.upload_id))
        if has_run(Stage.TRANSFER) or upload.grants_until_ms is not None or upload.parts:
            await self._stores.named(upload.store).abort(target_of(upload))


class CleanupQueue:
    """Cleans up every upload that is due. A cleanup that a slow store delays does not delay the others."""

    def __init__(
        self, cell: CellState, ended: EndedList, cleanup: Cleanup, batch_seconds: float = _BATCH_SECONDS
    ) -> None:
        self._volume = cell.volume.name
        self._ended = ended
        self._cleanup = cleanup
        self._batch_seconds = batch_seconds
        self._running: dict[str, asyncio.Task[bool]] = {}

    async def run(self) -> int:
        """Clean up what is due; returns how many uploads were cleaned up. Cleanups that take longer than
        `batch_seconds` continue until `stop`."""
        for upload_id in await self._ended.due(self._volume, _BATCH + len(self._running)):
            if upload_id not in self._running:
                self._running[upload_id] = asyncio.create_task(self._cleanup.clean(upload_id))
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._batch_seconds)
        done = {upload_id: task for upload_id, task in self._running.items() if task.done()}
        cleaned = 0
        sweep = Sweep(Log.CLEANUP_DEFERRED)
        for upload_id, task in done.items():
            del self._running[upload_id]
            with sweep.item(upload_id=upload_id):
                cleaned += task.result()
        sweep.end()
        return cleaned

    async def stop(self) -> None:
        """Cancel the running cleanups; another process, or the next start, repeats them."""
        await end_tasks(*self._running.values())
        self._running.clear()
