"""Orphaned files: temp files, journals and queued jobs that a crash has left behind.

Guarantee: a temp file is removed only if no reservation holds it and neither a record nor a journal accounts for it.
Nothing is removed while Redis has lost the volume. Each step may run in several processes at once and be killed at any
point.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED
from pipeline.ports import StageWatch
from pipeline.telemetry import Log, logger
from pipeline.uploads.cell import CellState

_JOBS = 1_000
# A younger temp file may belong to an admission that is in progress.
_FILE_SECONDS = 60.0
# A Redis that comes back without its last seconds must still find out that an upload had ended.
_JOURNAL_SECONDS = 30.0


class OrphanedFiles:
    """Finds and removes them on one temp volume."""

    def __init__(self, cell: CellState, watch: StageWatch) -> None:
        self._cell = cell
        self._watch = watch

    async def discard_stale_jobs(self) -> None:
        """A worker that died between ending a stage and removing its job has left the job in the queue."""
        queue = self._cell.queue
        for job in await self._watch.stale(await queue.jobs(self._cell.volume.name, _JOBS)):
            await queue.discard(job)

    async def remove(self) -> None:
        """Remove orphaned temp files, and journals that are no longer needed. Raises TempVolumeError,
        DependencyUnavailable."""
        cell = self._cell
        if await cell.ledger.epoch() is None:
            return
        await self._remove_journals()
        journaled = set(await cell.journals.ids())
        files = await cell.volume.list()
        holders = await cell.ledger.holders()
        for upload_id, (_, idle_seconds) in files.items():
            if upload_id in holders or idle_seconds < _FILE_SECONDS:
                continue
            try:
                owned = (await cell.uploads.get(upload_id)).status not in ENDED
            except RequestError:
                owned = upload_id in journaled
            if not owned:
                await cell.volume.remove(upload_id)
                logger(upload_id=upload_id).warning(Log.ORPHAN_REMOVED, volume=cell.volume.name)

    async def _remove_journals(self) -> None:
        """Remove the journals of uploads that are cleaned up, or have no record any more."""
        cleaned: list[str] = []
        for upload_id in await self._cell.journals.ended(_JOURNAL_SECONDS):
            try:
                upload = await self._cell.uploads.get(upload_id)
            except RequestError:
                cleaned.append(upload_id)
                continue
            if upload.released_at_ms is not None:
                cleaned.append(upload_id)
        await self._cell.record.remove_journals(cleaned)
