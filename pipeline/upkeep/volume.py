"""Upkeep of one temp volume, in the order that an admission worker runs it.

Guarantee: `tick` and `sweep` ask neither the store nor PostgreSQL, which may take minutes to respond. No step and no
upload that fails keeps the others from being handled, unless Redis is unavailable.
"""

from __future__ import annotations

from pipeline.logs import Log
from pipeline.ports import AdmissionOutcome
from pipeline.sweeps import Sweep
from pipeline.upkeep.expiry import Expiry
from pipeline.upkeep.orphaned_files import OrphanedFiles
from pipeline.uploads.admission import Admission
from pipeline.uploads.cell import CellState
from pipeline.uploads.recovery import Recovery

_PURGE_BATCH = 200


class VolumeUpkeep:
    """What keeps a temp volume usable: recovery, admission, expiry, removal of orphaned files."""

    def __init__(
        self, cell: CellState, recovery: Recovery, admission: Admission, expiry: Expiry, orphans: OrphanedFiles
    ) -> None:
        self._cell = cell
        self._recovery = recovery
        self._admission = admission
        self._expiry = expiry
        self._orphans = orphans

    async def tick(self) -> None:
        """Once a second: repair what Redis has lost, admit uploads, end those whose lease has lapsed."""
        sweep = self._new_sweep()
        outcome: AdmissionOutcome | None = None
        with sweep.item(step="recovery"):
            await self._recovery.follow()
        with sweep.item(step="admission"):
            outcome = await self._admission.run()
        for upload_id in outcome.lapsed if outcome else ():
            with sweep.item(upload_id=upload_id):
                await self._expiry.end_lapsed(upload_id)
        sweep.end()

    async def sweep(self) -> None:
        """Every few seconds: end idle uploads, and repair what a crash between two steps has left."""
        sweep = self._new_sweep()
        with sweep.item(step="end_idle"):
            await self._expiry.end_idle()
        with sweep.item(step="end_overdue"):
            await self._expiry.end_overdue()
        with sweep.item(step="request_again"):
            await self._expiry.request_again()
        with sweep.item(step="discard_stale_jobs"):
            await self._orphans.discard_stale_jobs()
        with sweep.item(step="purge_expired"):
            await self._cell.record.purge_expired(_PURGE_BATCH)
        with sweep.item(step="remove_orphans"):
            await self._orphans.remove()
        sweep.end()

    def _new_sweep(self) -> Sweep:
        return Sweep(Log.TICK_FAILED, volume=self._cell.volume.name)
