"""Orphaned files: temp files, journals and queued jobs that a crash has left behind.

Guarantee: a temp file is removed only if no reservation holds it and neither a record nor a journal accounts for it.
Of a temp file that a reservation holds, bytes beyond the reservation are removed if no segment accounts for them.
Nothing is removed while Redis has lost the volume. Each step may run in several processes at once and be killed at any
point. What fails for one of them does not keep the others from being removed.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED
from pipeline.logs import Log, logger
from pipeline.ports import StageWatch
from pipeline.sweeps import Sweep
from pipeline.uploads.cell import CellState
from pipeline.uploads.release import EarlyRelease

_JOBS = 1_000
# A younger temp file may belong to an admission that is in progress.
_FILE_SECONDS = 60.0
# A filesystem keeps the map of a file with many ranges in blocks of the file.
_SLACK_BYTES = 128 * 1024
# A Redis that comes back without its last seconds must still find out that an upload had ended.
_JOURNAL_SECONDS = 30.0


class OrphanedFiles:
    """Finds and removes them on one temp volume."""

    def __init__(self, cell: CellState, watch: StageWatch, release: EarlyRelease) -> None:
        self._cell = cell
        self._release = release
        self._watch = watch

    async def discard_stale_jobs(self) -> None:
        """A worker that died between ending a stage and removing its job has left the job in the queue."""
        queue = self._cell.queue
        sweep = Sweep(step="discard_stale_jobs")
        for job in await self._watch.stale(await queue.jobs(self._cell.volume.name, _JOBS)):
            with sweep.item(upload_id=job.upload_id, stage=str(job.stage)):
                await queue.discard(job)
        sweep.end()

    async def remove(self) -> None:
        """Remove orphaned temp files, and journals that are no longer needed. Raises TempVolumeError,
        DependencyUnavailable."""
        cell = self._cell
        if await cell.ledger.epoch() is None:
            return
        sweep = Sweep(volume=cell.volume.name)
        with sweep.item(step="remove_journals"):
            await self._remove_journals(sweep)
        journaled = set(await cell.journals.ids())
        files = await cell.volume.list()
        holders = await cell.ledger.holders()
        for upload_id, (backed_bytes, idle_seconds) in files.items():
            if upload_id in holders:
                if backed_bytes > holders[upload_id] + _SLACK_BYTES:
                    with sweep.item(upload_id=upload_id, step="reconcile"):
                        await self._release.reconcile(upload_id)
                continue
            if idle_seconds < _FILE_SECONDS:
                continue
            with sweep.item(upload_id=upload_id, step="remove_file"):
                await self._remove_file(upload_id, upload_id in journaled)
        sweep.end()

    async def _remove_file(self, upload_id: str, journaled: bool) -> None:
        """Remove a temp file that no reservation holds, if its upload is not in flight."""
        try:
            owned = (await self._cell.uploads.get(upload_id)).status not in ENDED
        except RequestError:
            owned = journaled
        if not owned:
            await self._cell.volume.remove(upload_id)
            logger(upload_id=upload_id).warning(Log.ORPHAN_REMOVED, volume=self._cell.volume.name)

    async def _remove_journals(self, sweep: Sweep) -> None:
        """End journals that began after the cleanup of their upload, since their process died. Remove the journals of
        uploads that are cleaned up, or have no record any more."""
        journals = self._cell.journals
        live = sorted(set(await journals.ids()).difference(await journals.ended(-1)))
        for upload_id in await self._cell.uploads.cleaned(live):
            with sweep.item(upload_id=upload_id, step="end_journal"):
                await self._cell.record.end_journal(upload_id)
        for upload_id in await self._cell.journals.ended(_JOURNAL_SECONDS):
            with sweep.item(upload_id=upload_id, step="remove_journal"):
                try:
                    upload = await self._cell.uploads.get(upload_id)
                except RequestError:
                    needed = False
                else:
                    needed = upload.released_at_ms is None
                if not needed:
                    await self._cell.record.remove_journals([upload_id])
