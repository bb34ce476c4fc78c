"""Recovery: what Redis has lost is made anew from the journals on the temp volume.

Redis can lose its last second (a fail-over, a machine that went down) or everything. The first is mended without being
asked, as soon as another run of Redis answers. After the second nobody can tell a loss from a wrong address, so nothing
is let in and nothing is removed until an operator says so (`sluice recover`).

Guarantee: each step may come twice, also in two processes, and be cut off anywhere; the next one goes on. What was
received counts again only if its bytes still have the digest that they had when they arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.errors import RequestError, SegmentCorrupt, TempVolumeError
from pipeline.core.journal import Ended, Journal
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import NewUpload, StageJob, Upload
from pipeline.core.segments import to_ranges
from pipeline.core.transports import TRANSPORTS
from pipeline.ports import ReservationLedger, SegmentBoard, StageQueue, TempVolume, UploadBoard, UploadJournals
from pipeline.telemetry import Log, logger

_TAKING_SEGMENTS = (Status.ADMITTED, Status.RECEIVING)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one upload. `rebuilt`: Redis did not know it; `segments`: how many count again; `missing`: ranges
    of segments that its client has to send, or to send again."""

    upload_id: str
    filename: str
    status: Status
    rebuilt: bool
    segments: int
    missing: Sequence[tuple[int, int]]


def ended_otherwise(journal: Journal, upload: Upload) -> bool:
    """The journal knows an end that Redis has forgotten: an upload that became `ready` does not fail because its temp
    file has gone since."""
    ended = journal.ended
    if ended is None:
        return False
    code = ended.error[0] if ended.error else None
    return (ended.status, code) != (upload.status, upload.error_code)


class Recovery:
    """Recovers uploads of one temp volume. A direct upload's client may hold grants for `grants_seconds`."""

    def __init__(
        self,
        board: UploadBoard,
        segments: SegmentBoard,
        ledger: ReservationLedger,
        queue: StageQueue,
        volume: TempVolume,
        journals: UploadJournals,
        grants_seconds: float,
    ) -> None:
        self._board = board
        self._segments = segments
        self._ledger = ledger
        self._queue = queue
        self._volume = volume
        self._journals = journals
        self._grants_seconds = grants_seconds
        self._seen_run: str | None = None

    async def unknown(self) -> Sequence[str]:
        """Uploads of this volume that Redis does not know. Redis knows every upload before it has a journal, and until
        it has none any more."""
        upload_ids = await self._journals.ids()
        known = await self._board.known(upload_ids)
        return [upload_id for upload_id in upload_ids if upload_id not in known]

    async def open(self) -> bool:
        """Let the volume be used, unless Redis has lost what is on it. Idempotent."""
        if await self._ledger.epoch() is not None:
            return True
        if lost := await self.unknown():
            logger(volume=self._volume.name).error(Log.RECOVERY_NEEDED, uploads=len(lost))
            return False
        await self._ledger.open()
        return True

    async def keep_journal(self, upload_id: str) -> bool:
        """An upload that is admitted has a journal; False: it has ended, and needs none. Idempotent."""
        try:
            upload = await self._board.get(upload_id)
        except RequestError:
            return False
        if upload.status in ENDED:
            return False
        await self._journals.begin(NewUpload.of(upload))
        return True

    async def was_ready(self, upload: Upload) -> None:
        """An upload was `ready`, whatever Redis says of it now. Idempotent."""
        await self._journals.begin(NewUpload.of(upload))
        await self._journals.end(upload.upload_id, Ended(Status.READY))
        await self.recover(upload.upload_id)

    async def follow(self) -> None:
        """Mend what a restart or a fail-over of Redis may have lost; nothing while the same Redis runs on."""
        run = await self._board.server_run()
        if run == self._seen_run or not await self.open():
            return
        try:
            for upload_id in await self._journals.ids():
                await self.recover(upload_id)
        except TempVolumeError as error:  # take-over and admission do not wait for the disk; the next tick tries again
            logger(volume=self._volume.name).warning(Log.TICK_FAILED, code=error.code, reason=error.message)
            return
        self._seen_run = run

    async def recover(self, upload_id: str) -> Recovered | None:
        """Bring Redis up to what an upload's journal says; None where there was nothing to mend."""
        journal = await self._journals.read(upload_id)
        if journal is None:
            return None
        try:
            upload = await self._board.get(upload_id)
        except RequestError:
            return await self._rebuild(journal)
        if ended_otherwise(journal, upload):
            return await self._rebuild(journal)
        if upload.status in ENDED:
            return None
        mended = await self._adopt(upload_id, upload.size_bytes)
        if upload.status is Status.GRANTED and journal.completed:
            await self._board.complete(upload_id, journal.stored_segments())
            mended = True
        elif upload.status is Status.WAITING and mended:
            _, _, jobs = await self._board.admit(upload_id)
            await self._enqueue(jobs)
        added = 0
        if not TRANSPORTS[upload.transport].in_store:
            added = await self._receive_again(upload_id, journal)
            await self._segments.restore_stored(upload_id, journal.stored)
        return await self._report(journal, rebuilt=False, segments=added) if added or mended else None

    async def _rebuild(self, journal: Journal) -> Recovered | None:
        new = journal.new
        has_file = await self._has_file(new.upload_id, new.size_bytes)
        if not TRANSPORTS[new.transport].in_store and journal.ended is None:
            for number in {*journal.received, *journal.stored}:
                if not has_file or not await self._intact(journal, number):
                    journal.drop(number)
        created, jobs = await self._board.rebuild(journal, has_file=has_file, grants_seconds=self._grants_seconds)
        await self._enqueue(jobs)
        if not created:
            return None
        if has_file:
            await self._adopt(new.upload_id, new.size_bytes)
        log = logger(upload_id=new.upload_id)
        log.warning(Log.UPLOAD_RECOVERED, segments=len(journal.received), file=has_file)
        return await self._report(journal, rebuilt=True, segments=len(journal.received))

    async def _receive_again(self, upload_id: str, journal: Journal) -> int:
        """Segments that were acknowledged, but not in this Redis."""
        known = await self._segments.received(upload_id)
        added = 0
        for number, crc32c in sorted(journal.received.items()):
            if number not in known and await self._intact(journal, number):
                size_bytes = journal.plan.length(number)
                verdict = await self._segments.record_received(upload_id, number, size_bytes, crc32c)
                await self._enqueue(verdict.jobs)
                added += verdict.accepted
        return added

    async def _adopt(self, upload_id: str, size_bytes: int) -> bool:
        """A temp file whose reservation is lost holds its bytes again."""
        standing = await self._ledger.standing(upload_id)
        if (standing is not None and standing.queue_position == 0) or not await self._has_file(upload_id, size_bytes):
            return False
        backed_bytes = await self._volume.allocate(upload_id, size_bytes)
        await self._ledger.adopt(upload_id, size_bytes, backed_bytes)
        return True

    async def _enqueue(self, jobs: Sequence[StageJob]) -> None:
        for job in jobs:
            await self._queue.enqueue(job)

    async def _has_file(self, upload_id: str, size_bytes: int) -> bool:
        try:
            await self._volume.verify(upload_id, size_bytes)
        except TempVolumeError as error:
            if error.code != "TEMP_FILE_MISSING":
                raise
            return False
        return True

    async def _intact(self, journal: Journal, number: int) -> bool:
        crc32c = journal.received.get(number)
        if crc32c is None:
            return False
        plan = journal.plan
        source = self._volume.source(journal.new.upload_id, number, plan.offset(number), plan.length(number), crc32c)
        try:
            async for _ in source.chunks():
                pass
        except SegmentCorrupt:
            return False
        return True

    async def _report(self, journal: Journal, *, rebuilt: bool, segments: int) -> Recovered:
        upload = await self._board.get(journal.new.upload_id)
        missing: Sequence[tuple[int, int]] = ()
        if upload.status in (*_TAKING_SEGMENTS, Status.WAITING) and not TRANSPORTS[upload.transport].in_store:
            received = await self._segments.received(upload.upload_id)
            missing = to_ranges(number for number in range(1, upload.plan.count + 1) if number not in received)
        return Recovered(upload.upload_id, upload.filename, upload.status, rebuilt, segments, missing)
