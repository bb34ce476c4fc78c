"""Admission: plans what an upload reserves, asks the ledger, with a fresh reading of the disk, which uploads to admit,
allocates their temp files and begins their journals.

Guarantee: an upload is `admitted` only once its bytes are reserved, its temp file is allocated and its journal has
begun; the journal's bytes are part of the reservation. An upload that waits has no file. A reservation whose caller
died before that is completed by the next run, since the ledger returns every reservation that is not confirmed yet; all
steps may be repeated. While the disk accepts no bytes nothing is admitted: unallocated reservations go back to their
place in the queue, and every run tries again. Only a journal that cannot begin leaves its reservation unconfirmed, with
the temp file that is allocated already: no caller could remove a file that another one may be about to confirm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import ENDED
from pipeline.core.model import NewUpload, Upload
from pipeline.core.segments import SegmentPlan, StoreLimits, plan_segments
from pipeline.core.windows import on_disk_bytes, plan_unknown, plan_upload
from pipeline.logs import Log, logger
from pipeline.ports import AdmissionOutcome, Allocation
from pipeline.sweeps import Sweep
from pipeline.telemetry import VOLUME_CLOSED
from pipeline.uploads.allocating import Allocating
from pipeline.uploads.cell import CellState
from pipeline.uploads.recovery import Recovery

# A reading is stale only if another reservation was confirmed at the same moment. The upload is queued all the same, so
# the next run of upkeep tries again.
_READINGS = 16
# What a filesystem uses for its own directories on an empty disk; an upload that fits only without them would wait
# forever. Its larger tables come out of the headroom.
_DIRECTORIES_BYTES = 256 * 1024


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
        self._allocating = Allocating()

    async def plan(self, draft: NewUpload, limits: StoreLimits, preferred_bytes: int) -> NewUpload:
        """Cut a file into segments, and plan its window on the volume when it is empty. Returns `draft` with both.

        Raises RequestError FILE_TOO_LARGE_FOR_STORE, SEGMENTS_TOO_LARGE_FOR_VOLUME; TempVolumeError TEMP_VOLUME_FAILED
        when it needs a window and the filesystem cannot remove ranges of a file."""

        def beside(plan: SegmentPlan) -> int:
            """The bytes of the journal. It names the window, which is never larger than the file."""
            most_bytes = plan.size_bytes if draft.deferred else 0
            planned = replace(draft, segment_bytes=plan.segment_bytes, most_bytes=most_bytes)
            return journal_bytes(replace(planned, window_bytes=plan.size_bytes))

        capacity_bytes = await self.capacity_bytes()
        cut = plan_upload if draft.deferred is None else plan_unknown
        plan, window_bytes = cut(
            draft.size_bytes if draft.deferred is None else draft.most_bytes,
            limits,
            preferred_bytes=preferred_bytes,
            capacity_bytes=capacity_bytes,
            share=self._rules.share,
            beside=beside,
        )
        if draft.deferred is not None:
            if not await self._can_punch():
                reason = "its filesystem cannot remove ranges of a file, so no file of unknown length can pass"
                raise TempVolumeError("TEMP_VOLUME_FAILED", reason=reason)
            return replace(
                draft, segment_bytes=plan.segment_bytes, window_bytes=window_bytes, most_bytes=plan.size_bytes
            )
        if window_bytes is not None and not await self._can_punch():
            plan, window_bytes = plan_segments(draft.size_bytes, limits, preferred_bytes), None
            if on_disk_bytes(draft.size_bytes) + beside(plan) > capacity_bytes:
                reason = (
                    f"its filesystem cannot remove ranges of a file, so no file above {capacity_bytes} bytes can pass"
                )
                raise TempVolumeError("TEMP_VOLUME_FAILED", reason=reason)
        return replace(draft, segment_bytes=plan.segment_bytes, window_bytes=window_bytes)

    async def _can_punch(self) -> bool:
        """True also while the disk is full or unavailable: then it cannot be tried, and clients must be able to ask."""
        try:
            return await self._volume.can_punch()
        except TempVolumeError:
            return True

    async def request(self, upload: Upload) -> None:
        """Queue an upload, and admit it at once if there is room. It reserves whole blocks: those of its file, or its
        window, and those of its journal. Idempotent."""
        occupied = on_disk_bytes(upload.plan.size_bytes)
        beside = journal_bytes(NewUpload.of(upload))
        await self._decide(
            lambda disk: self._ledger.request(
                upload.upload_id, occupied, disk, upload.window_bytes, owner=upload.owner, journal_bytes=beside
            ),
            upload.upload_id,
        )
        await self._allocating.wait(upload.upload_id)

    async def require_journal_room(self, new: NewUpload) -> None:
        """Check that the journal of an upload that reserves nothing leaves half of the headroom free, beside what is
        reserved. Raises TempVolumeError TEMP_VOLUME_FULL."""
        books = await self._ledger.snapshot()
        free_bytes = await self._volume.free_bytes() - (books.reserved_bytes - books.backed_bytes)
        if free_bytes - journal_bytes(new) < self._rules.headroom_bytes // 2:
            reason = f"{max(0, free_bytes)} bytes are free, which are kept for the uploads on it"
            raise TempVolumeError("TEMP_VOLUME_FULL", reason=reason)

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
            on_disk = await self._volume.total_bytes() - self._rules.headroom_bytes - _DIRECTORIES_BYTES
        except TempVolumeError:
            return self._rules.budget_bytes
        return max(0, min(self._rules.budget_bytes, on_disk))

    async def _decide(
        self, ask: Callable[[DiskReading], Awaitable[AdmissionOutcome | None]], own: str | None = None
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
                with self._allocating.claimed(outcome.to_allocate, own) as claimed:
                    await self._allocate_all(claimed, disk)
                return outcome
        return None

    async def _allocate_all(self, claimed: Sequence[Allocation], disk: DiskReading) -> None:
        failure: TempVolumeError | None = None
        sweep = Sweep(step="admission")
        for allocation in claimed:
            with sweep.item(upload_id=allocation.upload_id):
                failure = await self._allocate(allocation, failure)
        if failure is None and disk.free_bytes <= disk.headroom_bytes:
            failure = TempVolumeError(
                "TEMP_VOLUME_FULL", reason=f"{disk.free_bytes} bytes are free, less than headroom"
            )
        if failure is not None:
            self._close(failure)
        elif (claimed and not sweep.failed) or await self._accepts_bytes():
            self._reopen()
        sweep.end()

    async def _allocate(self, allocation: Allocation, failure: TempVolumeError | None) -> TempVolumeError | None:
        """Allocate and admit one upload, unless the disk has failed before. Returns the disk's latest failure."""
        upload_id = allocation.upload_id
        if failure is not None and failure.code != "TEMP_VOLUME_FULL":  # a full disk may have room for a smaller one
            await self._ledger.postpone(upload_id)
            return failure
        backed_bytes = 0
        # Nothing is allocated for an ended upload: another upload may hold its bytes already.
        upload = await self._in_flight(upload_id)
        try:
            if upload is not None and allocation.file_bytes is None:
                backed_bytes = await self._volume.allocate(upload_id, upload.size_bytes)
            elif upload is not None:
                await self._volume.allocate_sparse(upload_id, upload.plan.size_bytes)
        except TempVolumeError as error:
            await self._ledger.postpone(upload_id)
            return error
        try:
            if upload is not None:
                await self._cell.record.begin_journal(upload)
            await self._admit(upload_id, allocation.size_bytes, backed_bytes)
        except (
            TempVolumeError
        ) as error:  # also if a file without an owner could not be removed: the next run tries again
            return error
        return failure

    async def _in_flight(self, upload_id: str) -> Upload | None:
        """None: it has ended, or has no record."""
        try:
            upload = await self._cell.uploads.get(upload_id)
        except RequestError:
            return None
        return None if upload.status in ENDED else upload

    async def _admit(self, upload_id: str, size_bytes: int, backed_bytes: int) -> None:
        try:
            status, changed, jobs = await self._cell.record.admit(upload_id)
            for job in jobs:
                await self._cell.queue.enqueue(job)
        except RequestError:
            await self._without_record(upload_id)
            return
        if status in ENDED:
            # It may have been cleaned up before this run reserved bytes for it again: only this run can release them.
            await self._remove(upload_id)
            await self._ledger.release(upload_id)
        elif not await self._ledger.confirm(upload_id, backed_bytes):
            # It ended and was cleaned up since the reservation was made: the new files have no owner. Or another caller
            # has postponed it: then it comes back.
            if await self._in_flight(upload_id) is None:
                await self._remove(upload_id)
        elif changed:
            logger(upload_id=upload_id).info(Log.UPLOAD_ADMITTED, size_bytes=size_bytes)

    async def _without_record(self, upload_id: str) -> None:
        """A reservation of an upload that has no record. With a journal, Redis has lost the record."""
        if await self._cell.journals.read(upload_id) is None:
            await self._volume.remove(upload_id)
            await self._ledger.release(upload_id)
        elif await self._ledger.epoch() is not None:
            await self._recovery.recover(upload_id)

    async def _remove(self, upload_id: str) -> None:
        """Remove the files of an upload that has ended. Its journal is removed a while after its end."""
        await self._volume.remove(upload_id)
        await self._cell.record.end_journal(upload_id)

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
