"""Admission: plans what an upload reserves, asks the ledger, with a fresh reading of the disk, which uploads to admit,
and allocates their temp files.

Guarantee: an upload is `admitted` only once its bytes are reserved and its temp file is allocated. A reservation whose
caller died before allocation is completed by the next run, since the ledger returns every reservation that is not
confirmed yet; all steps may be repeated. While the disk accepts no bytes nothing is admitted: unallocated reservations
go back to their place in the queue, and every run tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.lifecycle import ENDED
from pipeline.core.segments import SegmentPlan, StoreLimits, plan_segments
from pipeline.core.windows import on_disk_bytes, plan_upload
from pipeline.ports import AdmissionOutcome, Allocation
from pipeline.sweeps import Sweep
from pipeline.telemetry import VOLUME_CLOSED, Log, logger
from pipeline.uploads.cell import CellState
from pipeline.uploads.recovery import Recovery

# A reading is stale only if another reservation was confirmed at the same moment; the next run of upkeep tries again.
_READINGS = 16
# Journals take up room beside the temp files; an upload that fits only without them would wait forever.
_JOURNALS_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """The operator's rules: bytes that all uploads together may reserve, free bytes that are never reserved, and the
    fraction of the volume that one file may reserve."""

    budget_bytes: int
    headroom_bytes: int
    share: float


class Admission:
    """Admission to one temp volume."""

    def __init__(self, cell: CellState, recovery: Recovery, rules: AdmissionRules) -> None:
        self._cell = cell
        self._ledger = cell.ledger
        self._volume = cell.volume
        self._recovery = recovery
        self._rules = rules
        self._closed_by = ""

    async def plan(self, size_bytes: int, limits: StoreLimits, preferred_bytes: int) -> tuple[SegmentPlan, int | None]:
        """Cut a file into segments, and plan its window on the volume when it is empty (None: it is held whole).

        Raises RequestError FILE_TOO_LARGE_FOR_STORE, SEGMENTS_TOO_LARGE_FOR_VOLUME; TempVolumeError TEMP_VOLUME_FAILED
        when it needs a window and the filesystem cannot remove ranges of a file."""
        capacity_bytes = await self.capacity_bytes()
        plan, window_bytes = plan_upload(
            size_bytes, limits, preferred_bytes=preferred_bytes, capacity_bytes=capacity_bytes, share=self._rules.share
        )
        if window_bytes is None or await self._can_punch():
            return plan, window_bytes
        if on_disk_bytes(size_bytes) > capacity_bytes:
            reason = f"its filesystem cannot remove ranges of a file, so no file above {capacity_bytes} bytes can pass"
            raise TempVolumeError("TEMP_VOLUME_FAILED", reason=reason)
        return plan_segments(size_bytes, limits, preferred_bytes), None

    async def _can_punch(self) -> bool:
        """True also while the disk is full or unavailable: then it cannot be tried, and clients must be able to ask."""
        try:
            return await self._volume.can_punch()
        except TempVolumeError:
            return True

    async def request(
        self,
        upload_id: str,
        size_bytes: int,
        window_bytes: int | None = None,
        *,
        owner: str = DEFAULT_OWNER,
        journal_bytes: int = 0,
    ) -> None:
        """Queue an upload of `size_bytes`, and admit it at once if there is room. It reserves whole blocks: those of
        its file, or its window, and those of its journal. Idempotent."""
        occupied = on_disk_bytes(size_bytes)
        await self._decide(
            lambda disk: self._ledger.request(
                upload_id, occupied, disk, window_bytes, owner=owner, journal_bytes=journal_bytes
            )
        )

    async def require_open(self) -> None:
        """Raises DependencyUnavailable VOLUME_RECOVERING while Redis does not know every upload on the volume."""
        if not await self._recovery.up_to_date():
            raise DependencyUnavailable("VOLUME_RECOVERING", volume=self._volume.name)

    async def run(self) -> AdmissionOutcome | None:
        """Admit every upload that may be admitted now; None while the volume is not open."""
        return await self._decide(self._ledger.run)

    async def capacity_bytes(self) -> int:
        """What all uploads together may reserve on an empty disk; while the disk cannot be read, the budget."""
        try:
            on_disk = await self._volume.total_bytes() - self._rules.headroom_bytes - _JOURNALS_BYTES
        except TempVolumeError:
            return self._rules.budget_bytes
        return max(0, min(self._rules.budget_bytes, on_disk))

    async def _decide(
        self, ask: Callable[[DiskReading], Awaitable[AdmissionOutcome | None]]
    ) -> AdmissionOutcome | None:
        for _ in range(_READINGS):
            epoch = await self._ledger.epoch()
            if epoch is None:
                if not await self._recovery.open():
                    return None
                continue
            disk = DiskReading(await self._volume.free_bytes(), self._rules.headroom_bytes, epoch)
            outcome = await ask(disk)
            if outcome is not None:
                await self._allocate_all(outcome, disk)
                return outcome
        return None

    async def _allocate_all(self, outcome: AdmissionOutcome, disk: DiskReading) -> None:
        failure: TempVolumeError | None = None
        sweep = Sweep(step="admission")
        for allocation in outcome.to_allocate:
            with sweep.item(upload_id=allocation.upload_id):
                failure = await self._allocate(allocation, failure)
        if failure is None and disk.free_bytes <= disk.headroom_bytes:
            failure = TempVolumeError(
                "TEMP_VOLUME_FULL", reason=f"{disk.free_bytes} bytes are free, less than headroom"
            )
        if failure is not None:
            self._close(failure)
        elif (outcome.to_allocate and not sweep.failed) or await self._accepts_bytes():
            self._reopen()
        sweep.end()

    async def _allocate(self, allocation: Allocation, failure: TempVolumeError | None) -> TempVolumeError | None:
        """Allocate and admit one upload, unless the disk has failed before. Returns the disk's latest failure."""
        upload_id = allocation.upload_id
        if failure is not None and failure.code != "TEMP_VOLUME_FULL":  # a full disk may have room for a smaller one
            await self._ledger.postpone(upload_id)
            return failure
        backed_bytes = 0
        try:
            # Nothing is allocated for an ended upload: another upload may hold its bytes already.
            upload = await self._cell.record.keep_journal(upload_id)
            if upload is not None:
                if allocation.file_bytes is None:
                    backed_bytes = await self._volume.allocate(upload_id, upload.size_bytes)
                else:
                    await self._volume.allocate_sparse(upload_id, upload.size_bytes)
        except TempVolumeError as error:
            await self._ledger.postpone(upload_id)
            return error
        try:
            await self._admit(upload_id, allocation.size_bytes, backed_bytes)
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
