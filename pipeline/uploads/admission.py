"""Admission: asks the ledger, with a fresh reading of the disk, which uploads to admit, and allocates their temp files.

Guarantee: an upload is `admitted` only once its bytes are reserved and its temp file is allocated. A reservation whose
caller died before allocation is completed by the next run, since the ledger returns every reservation that is not
confirmed yet; all steps may be repeated. While the disk accepts no bytes nothing is admitted: unallocated reservations
go back to their place in the queue, and every run tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.lifecycle import ENDED
from pipeline.ports import AdmissionOutcome
from pipeline.sweeps import Sweep
from pipeline.telemetry import VOLUME_CLOSED, Log, logger
from pipeline.uploads.cell import CellState
from pipeline.uploads.recovery import Recovery

# A reading is stale only if another reservation was confirmed at the same moment; the next run of upkeep tries again.
_READINGS = 8
# Journals take up room beside the temp files; an upload that fits only without them would wait forever.
_JOURNALS_BYTES = 1024 * 1024


class Admission:
    """Admission to one temp volume."""

    def __init__(self, cell: CellState, recovery: Recovery, headroom_bytes: int) -> None:
        self._cell = cell
        self._ledger = cell.ledger
        self._volume = cell.volume
        self._recovery = recovery
        self._headroom_bytes = headroom_bytes
        self._closed_by = ""

    async def request(self, upload_id: str, size_bytes: int) -> None:
        """Queue an upload, and admit it at once if there is room. Idempotent."""
        await self._decide(lambda disk: self._ledger.request(upload_id, size_bytes, disk))

    async def require_open(self) -> None:
        """Raises DependencyUnavailable VOLUME_RECOVERING while Redis does not know every upload on the volume."""
        if not await self._recovery.up_to_date():
            raise DependencyUnavailable("VOLUME_RECOVERING", volume=self._volume.name)

    async def run(self) -> AdmissionOutcome | None:
        """Admit every upload that may be admitted now; None while the volume is not open."""
        return await self._decide(self._ledger.run)

    async def capacity_bytes(self) -> int | None:
        """The largest upload that an empty disk could hold; None while the disk cannot be read."""
        try:
            return await self._volume.total_bytes() - self._headroom_bytes - _JOURNALS_BYTES
        except TempVolumeError:
            return None

    async def _decide(
        self, ask: Callable[[DiskReading], Awaitable[AdmissionOutcome | None]]
    ) -> AdmissionOutcome | None:
        for _ in range(_READINGS):
            epoch = await self._ledger.epoch()
            if epoch is None:
                if not await self._recovery.open():
                    return None
                continue
            disk = DiskReading(await self._volume.free_bytes(), self._headroom_bytes, epoch)
            outcome = await ask(disk)
            if outcome is not None:
                await self._allocate_all(outcome, disk)
                return outcome
        return None

    async def _allocate_all(self, outcome: AdmissionOutcome, disk: DiskReading) -> None:
        failure: TempVolumeError | None = None
        sweep = Sweep(step="admission")
        for upload_id, size_bytes in outcome.to_allocate:
            with sweep.item(upload_id=upload_id):
                failure = await self._allocate(upload_id, size_bytes, failure)
        if failure is None and disk.free_bytes <= disk.headroom_bytes:
            failure = TempVolumeError(
                "TEMP_VOLUME_FULL", reason=f"{disk.free_bytes} bytes are free, less than headroom"
            )
        if failure is not None:
            self._close(failure)
        elif (outcome.to_allocate and not sweep.failed) or await self._accepts_bytes():
            self._reopen()
        sweep.end()

    async def _allocate(
        self, upload_id: str, size_bytes: int, failure: TempVolumeError | None
    ) -> TempVolumeError | None:
        """Allocate and admit one upload, unless the disk has failed before. Returns the disk's latest failure."""
        if failure is not None and failure.code != "TEMP_VOLUME_FULL":  # a full disk may have room for a smaller one
            await self._ledger.postpone(upload_id)
            return failure
        try:
            in_flight = await self._cell.record.keep_journal(upload_id)
            # Nothing is allocated for an ended upload: another upload may hold its bytes already.
            backed_bytes = await self._volume.allocate(upload_id, size_bytes) if in_flight else 0
        except TempVolumeError as error:
            await self._ledger.postpone(upload_id)
            return error
        try:
            await self._admit(upload_id, size_bytes, backed_bytes)
        except TempVolumeError as error:  # a file without an owner could not be removed: the next run tries again
            return error
        return failure

    async def _admit(self, upload_id: str, size_bytes: int, backed_bytes: int) -> None:
        try:
            status, changed, jobs = await self._cell.record.admit(upload_id)
            ended = status in ENDED
            for job in jobs:
                await self._cell.queue.enqueue(job)
        except RequestError:
            ended = True
        if ended:
            # It may have been cleaned up before this run reserved bytes for it again: only this run can release them.
            await self._volume.remove(upload_id)
            await self._ledger.release(upload_id)
        elif not await self._ledger.confirm(upload_id, backed_bytes):
            # It ended and was cleaned up since the reservation was made: the new temp file has no owner.
            await self._volume.remove(upload_id)
        elif changed:
            logger(upload_id=upload_id).info(Log.UPLOAD_ADMITTED, size_bytes=size_bytes)

    async def _accepts_bytes(self) -> bool:
        """Whether a closed volume can be written to again. Nothing is written while it is open."""
        if not self._closed_by:
            return True
        try:
            await self._volume.check()
        except TempVolumeError:
            return False
        return True

    def _close(self, error: TempVolumeError) -> None:
        """Logged once per cause, not once per run."""
        VOLUME_CLOSED.labels(self._volume.name).set(1)
        if self._closed_by != error.code:
            self._closed_by = error.code
            logger().warning(Log.VOLUME_CLOSED, volume=self._volume.name, code=error.code, reason=error.message)

    def _reopen(self) -> None:
        VOLUME_CLOSED.labels(self._volume.name).set(0)
        if self._closed_by:
            self._closed_by = ""
            logger().info(Log.VOLUME_OPEN, volume=self._volume.name)
