"""Upkeep of one temp volume, in the order that an admission worker runs it.

Guarantee: `tick` and `sweep` ask neither the store nor PostgreSQL, which may take minutes to respond. A temp volume
that fails does not keep them from what does not need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import TempVolumeError
from pipeline.telemetry import Log, logger
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
        await self._recovery.follow()
        outcome = await self._admission.run()
        for upload_id in outcome.lapsed if outcome else ():
            with self._tolerating_the_disk():
                await self._expiry.end_lapsed(upload_id)

    async def sweep(self) -> None:
        """Every few seconds: end idle uploads, and repair what a crash between two steps has left."""
        await self._expiry.end_idle()
        await self._expiry.request_again()
        await self._orphans.discard_stale_jobs()
        await self._cell.record.purge_expired(_PURGE_BATCH)
        with self._tolerating_the_disk():
            await self._orphans.remove()

    @contextmanager
    def _tolerating_the_disk(self) -> Iterator[None]:
        """Log a failing temp volume; the next run tries again."""
        try:
            yield
        except TempVolumeError as error:
            logger(volume=self._cell.volume.name).warning(Log.TICK_FAILED, code=error.code, reason=error.message)
