"""Admission: asks the ledger, with a fresh reading of the disk, and carries out what it grants.

Guarantee: an upload is `admitted` only once its bytes are reserved and its temp file is preallocated. A grant whose
caller died is carried out by whoever asks next, since the ledger returns every grant that is not confirmed yet; all
steps may be done twice. While the disk takes no bytes nobody is let in: what was granted goes back to its place in the
queue, and every pass tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pipeline.core.admission import DiskReading
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.lifecycle import ENDED
from pipeline.ports import AdmissionOutcome, ReservationLedger, StageQueue, TempVolume, UploadBoard
from pipeline.telemetry import VOLUME_CLOSED, Log, logger
from pipeline.uploads.recovery import Recovery

# A reading is stale only when another grant was confirmed in the same instant; the reaper's next tick is the way out.
_READINGS = 8
# An upload's own journal and a few others' take up room; what only fits without them would wait for ever.
_JOURNALS_BYTES = 1024 * 1024


class Admission:
    """Admission to one temp volume."""

    def __init__(
        self,
        ledger: ReservationLedger,
        board: UploadBoard,
        volume: TempVolume,
        queue: StageQueue,
        recovery: Recovery,
        headroom_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._board = board
        self._volume = volume
        self._queue = queue
        self._recovery = recovery
        self._headroom_bytes = headroom_bytes
        self._closed_by = ""

    async def request(self, upload_id: str, size_bytes: int) -> None:
        """Queue an upload, and admit it at once if there is room. Idempotent."""
        await self._decide(lambda disk: self._ledger.request(upload_id, size_bytes, disk))

    async def require_open(self) -> None:
        """Raises DependencyUnavailable VOLUME_RECOVERING while Redis does not know what is on the volume."""
        if not await self._recovery.open():
            raise DependencyUnavailable("VOLUME_RECOVERING", volume=self._volume.name)

    async def run(self) -> AdmissionOutcome | None:
        """Admit all that may be admitted now."""
        return await self._decide(self._ledger.run)

    async def capacity_bytes(self) -> int | None:
        """What the disk could give if it were empty but for journals; None while it cannot be asked."""
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
                await self._carry_out_all(outcome, disk)
                return outcome
        return None

    async def _carry_out_all(self, outcome: AdmissionOutcome, disk: DiskReading) -> None:
        failure: TempVolumeError | None = None
        for upload_id, size_bytes in outcome.to_allocate:
            if failure is not None and failure.code != "TEMP_VOLUME_FULL":  # what is full may still have room for less
                await self._ledger.postpone(upload_id)
                continue
            try:
                alive = await self._recovery.keep_journal(upload_id)
                # Nothing is set aside for what has ended: its reservation may have gone to somebody else already.
                backed_bytes = await self._volume.allocate(upload_id, size_bytes) if alive else 0
            except TempVolumeError as error:
                failure = error
                await self._ledger.postpone(upload_id)
                continue
            try:
                await self._carry_out(upload_id, size_bytes, backed_bytes)
            except TempVolumeError as error:  # what has no owner could not be removed: the next pass tries again
                failure = error
        if failure is None and disk.free_bytes <= disk.headroom_bytes:
            failure = TempVolumeError(
                "TEMP_VOLUME_FULL", reason=f"{disk.free_bytes} bytes are free, less than headroom"
            )
        if failure is not None:
            self._close(failure)
        elif outcome.to_allocate or await self._takes_bytes():
            self._reopen()

    async def _takes_bytes(self) -> bool:
        """Asked only after it did not, and when there is nobody to let in who would show it."""
        if not self._closed_by:
            return True
        try:
            await self._volume.check()
        except TempVolumeError:
            return False
        return True

    def _close(self, error: TempVolumeError) -> None:
        """Said once, not once a second."""
        VOLUME_CLOSED.labels(self._volume.name).set(1)
        if self._closed_by != error.code:
            self._closed_by = error.code
            logger().warning(Log.VOLUME_CLOSED, volume=self._volume.name, code=error.code, reason=error.message)

    def _reopen(self) -> None:
        VOLUME_CLOSED.labels(self._volume.name).set(0)
        if self._closed_by:
            self._closed_by = ""
            logger().info(Log.VOLUME_OPEN, volume=self._volume.name)

    async def _carry_out(self, upload_id: str, size_bytes: int, backed_bytes: int) -> None:
        log = logger(upload_id=upload_id)
        try:
            status, changed, jobs = await self._board.admit(upload_id)
            over = status in ENDED
            for job in jobs:
                await self._queue.enqueue(job)
        except RequestError:
            over = True
        if over:
            # It may have been cleaned up before it asked once more: nobody else would give this reservation back.
            await self._volume.remove(upload_id)
            await self._ledger.release(upload_id)
            return
        if await self._ledger.confirm(upload_id, backed_bytes):
            if changed:
                log.info(Log.UPLOAD_ADMITTED, size_bytes=size_bytes)
        else:
            # It ended and was cleaned up between the grant and now: the file that was just made has no owner.
            await self._volume.remove(upload_id)
