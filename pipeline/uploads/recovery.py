"""Recovery: restores what Redis has lost from the journals on the temp volume.

Redis can lose its last second (a failover, a machine that went down) or everything. The first is repaired without an
operator, as soon as another run of the Redis server responds. After the second, a data loss cannot be told from a wrong
address, so nothing is admitted and nothing is removed until an operator runs `sluice recover`.

Guarantee: each step may be repeated, also by two processes at once, and interrupted anywhere; the next run continues.
A received segment counts again only if its bytes still match the crc32c computed on receipt, or if they were released:
then the store has them, and what it does not have is found when the manifest is written.

Recovery brings the board up to date with the journal, so it writes to the board without journaling again: it is the one
exception to `uploads.record`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.core.errors import RequestError
from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Deferred, NewUpload, StageJob, Upload
from pipeline.core.segments import to_ranges
from pipeline.core.tail import Tail
from pipeline.core.transports import TRANSPORTS
from pipeline.logs import Log, logger
from pipeline.ports.recording import AppendWriter, JournalWriter, SegmentWriter, UploadRebuilder, UploadWriter
from pipeline.sweeps import Sweep
from pipeline.uploads.adoption import Adoption
from pipeline.uploads.cell import CellState
from pipeline.uploads.release import EarlyRelease
from pipeline.uploads.segment_files import is_intact

# How long a client waits for the comparison; an admission worker completes it.
_FOLLOW_SECONDS = 5.0
_TAKING_SEGMENTS = (Status.WAITING, Status.ADMITTED, Status.RECEIVING)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A recovered upload. `rebuilt`: Redis had no record of it; `segments`: how many count again; `missing`: ranges of
    segments that its client has to send."""

    upload_id: str
    filename: str
    status: Status
    rebuilt: bool
    segments: int
    missing: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class RecoveryWriters:
    """The writing sides of board and journal."""

    uploads: UploadWriter
    segments: SegmentWriter
    appends: AppendWriter
    rebuilder: UploadRebuilder
    journals: JournalWriter


def ended_otherwise(journal: Journal, upload: Upload) -> bool:
    """True if the journal records an end that Redis does not know: an upload that became `ready` must not fail because
    its temp file is gone."""
    ended = journal.ended
    if ended is None:
        return False
    code = ended.error[0] if ended.error else None
    return (ended.status, code) != (upload.status, upload.error_code)


class Recovery:
    """Recovers uploads of one temp volume. The client of a direct upload may hold grants for `grants_seconds`."""

    def __init__(self, cell: CellState, writers: RecoveryWriters, release: EarlyRelease, grants_seconds: float) -> None:
        self._cell = cell
        self._writers = writers
        self._release = release
        self._files = Adoption(cell, release)
        self._grants_seconds = grants_seconds
        self._followed_run: str | None = None
        self._following = asyncio.Lock()

    async def unknown(self) -> Sequence[str]:
        """Uploads that have a journal but no record in Redis: Redis has lost them, since it has a record of every
        upload before its journal begins and until after its journal is removed."""
        upload_ids = await self._cell.journals.ids()
        known = await self._cell.uploads.known(upload_ids)
        return [upload_id for upload_id in upload_ids if upload_id not in known]

    async def open(self) -> bool:
        """Open the volume for use, unless Redis has lost the uploads on it. Idempotent."""
        if await self._cell.ledger.epoch() is not None:
            return True
        run = await self._cell.uploads.server_run()
        if lost := await self.unknown():
            logger(volume=self._cell.volume.name).error(Log.RECOVERY_NEEDED, uploads=len(lost))
            return False
        await self._cell.ledger.open(run)
        return True

    async def up_to_date(self) -> bool:
        """Open the volume, and make sure that this run of Redis has every record that the journals have. False: not
        now. While records are missing, an Idempotency-Key that is repeated would create a second upload."""
        run = await self._cell.uploads.server_run()
        if run == await self._cell.ledger.followed_run():
            return True
        if not await self.open():
            return False
        if run in (self._followed_run, await self._cell.ledger.followed_run()):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(_FOLLOW_SECONDS), self._following:
                await self.follow()
        return run == await self._cell.ledger.followed_run()

    async def was_ready(self, upload: Upload) -> None:
        """Restore an upload that had become `ready`, whatever its record says now. Idempotent."""
        await self._writers.journals.begin(NewUpload.of(upload))
        await self._writers.journals.end(upload.upload_id, Ended(Status.READY))
        await self.recover(upload.upload_id)

    async def follow(self) -> None:
        """Repair what a restart or failover of Redis may have lost. Does nothing while the same server runs. An upload
        that cannot be repaired now does not keep the others from it; it is tried again by the next run."""
        run = await self._cell.uploads.server_run()
        if run == self._followed_run or not await self.open():
            return
        sweep = Sweep(Log.TICK_FAILED, volume=self._cell.volume.name)
        with sweep.item(step="recovery"):  # admission does not wait for the disk; the next run of upkeep tries again
            for upload_id in await self._cell.journals.ids():
                with sweep.item(upload_id=upload_id):
                    await self.recover(upload_id)
        sweep.end()
        if sweep.failed:
            return
        await self._cell.ledger.follow(run)
        self._followed_run = run

    async def recover(self, upload_id: str) -> Recovered | None:
        """Bring Redis up to date with an upload's journal; None if nothing was missing."""
        journal = await self._cell.journals.read(upload_id)
        if journal is None:
            return None
        try:
            upload = await self._cell.uploads.get(upload_id)
        except RequestError:
            return await self._rebuild(journal)
        if ended_otherwise(journal, upload):
            return await self._rebuild(journal)
        if upload.status in ENDED:
            return None
        repaired = await self._files.adopt(journal)
        if upload.status is Status.GRANTED and journal.completed:
            await self._writers.uploads.complete(
                upload_id, journal.stored_segments(), journal.plan if journal.planned else None
            )
            repaired = True
        elif upload.status is Status.WAITING and repaired:
            _, _, jobs = await self._writers.uploads.admit(upload_id)
            await self._enqueue(jobs)
        added = 0
        if upload.deferred is Deferred.LENGTH and journal.planned:
            upload = await self._set_length(upload, journal)
            repaired = True
        if not TRANSPORTS[upload.transport].in_store and await self._files.exists(journal):
            added = await self._restore_segments(upload, journal)
            repaired = await self._restore_tail(upload, journal) or repaired
        return await self._report(journal, rebuilt=False, segments=added) if added or repaired else None

    async def _rebuild(self, journal: Journal) -> Recovered | None:
        new = journal.new
        if new.parts:
            if journal.ended is None and not journal.completed:  # its client has no response, and its parts go on
                await self._writers.journals.end(new.upload_id, Ended(Status.CANCELLED))
                await self._writers.journals.remove([new.upload_id])
                return None
            for part in new.parts:  # before it: it ends them
                await self.recover(part.upload_id)
        has_file = await self._files.exists(journal)
        if not TRANSPORTS[new.transport].in_store and journal.ended is None:
            for number in {*journal.received, *journal.stored}:
                if not has_file or not await self._is_valid(journal, number):
                    journal.drop(number)
            if journal.tail and not (has_file and await self._has_tail(journal, journal.tail)):
                journal.tail_left = None
        created, jobs = await self._writers.rebuilder.rebuild(
            journal, has_file=has_file, grants_seconds=self._grants_seconds
        )
        await self._enqueue(jobs)
        if not created:
            return None
        if has_file:
            await self._files.adopt(journal)
            if journal.tail is not None and journal.ended is None:
                await self._writers.appends.restore(new.upload_id, journal.tail)
        log = logger(upload_id=new.upload_id)
        log.warning(Log.UPLOAD_RECOVERED, segments=len(journal.received), file=has_file)
        return await self._report(journal, rebuilt=True, segments=len(journal.received))

    async def _set_length(self, upload: Upload, journal: Journal) -> Upload:
        """Set the length of a file that the journal has and the board does not; the upload then."""
        await self._files.exists(journal)  # it cuts the temp file off
        verdict = await self._writers.appends.set_length(upload.upload_id, upload.volume, None, journal.plan)
        await self._enqueue(verdict.jobs)
        return await self._cell.uploads.get(upload.upload_id)

    async def _restore_segments(self, upload: Upload, journal: Journal) -> int:
        """Record segments again that the journal has and Redis does not; returns how many. Releases that Redis does not
        know of are completed first, since they make room."""
        upload_id = upload.upload_id
        known = await self._cell.segments.received(upload_id)
        missing = [number for number in sorted(journal.received) if number not in known]
        added = 0
        for number in missing:
            if number in journal.released:
                added += await self._restore(journal, number)
        await self._writers.segments.restore_stored(upload_id, journal.stored, journal.released)
        if journal.released:
            await self._release.run(upload_id)
        for number in missing:
            if number in journal.released or not await self._is_valid(journal, number):
                continue
            if not (upload.takes_room or journal.released) or await self._files.take(upload, number):
                added += await self._restore(journal, number)
        await self._writers.segments.restore_stored(upload_id, journal.stored, ())
        if upload.window_bytes and missing:
            await self._release.reconcile(upload_id)  # what gateways were writing when Redis lost their claims
        return added

    async def _restore(self, journal: Journal, number: int) -> bool:
        verdict = await self._writers.segments.record_received(
            journal.new.upload_id,
            number,
            journal.plan.length(number),
            journal.received[number],
            restored=True,
            etag=journal.stored[number] if number in journal.released else None,
            md5_hex=journal.md5_hex(number),
        )
        await self._enqueue(verdict.jobs)
        return verdict.accepted

    async def _restore_tail(self, upload: Upload, journal: Journal) -> bool:
        """Record the tail again if the journal knows more of it; False: it does not, or its bytes are gone."""
        tail = journal.tail
        if tail is None or not await self._has_tail(journal, tail):
            return False
        if (upload.takes_room or journal.released) and not await self._files.take(upload, tail.number):
            return False
        return await self._writers.appends.restore(upload.upload_id, tail)

    async def _has_tail(self, journal: Journal, tail: Tail) -> bool:
        """Whether the bytes of a tail are on the disk as they arrived."""
        offset = journal.plan.offset(tail.number)
        return await self._cell.volume.crc32c(journal.new.upload_id, offset, tail.size_bytes) == tail.crc32c

    async def _enqueue(self, jobs: Sequence[StageJob]) -> None:
        for job in jobs:
            await self._cell.queue.enqueue(job)

    async def _is_valid(self, journal: Journal, number: int) -> bool:
        """Whether a segment still counts: its bytes are on the disk as they arrived, or were released."""
        crc32c = journal.received.get(number)
        if crc32c is None or number in journal.released:
            return crc32c is not None
        return await is_intact(self._cell.volume, journal.new.upload_id, journal.plan, number, crc32c)

    async def _report(self, journal: Journal, *, rebuilt: bool, segments: int) -> Recovered:
        upload = await self._cell.uploads.get(journal.new.upload_id)
        missing: Sequence[tuple[int, int]] = ()
        if upload.status in _TAKING_SEGMENTS and not TRANSPORTS[upload.transport].in_store:
            received = await self._cell.segments.received(upload.upload_id)
            everything = range(1, upload.plan.count + 1) if upload.deferred is None else ()
            missing = to_ranges(set(everything).difference(received))
        return Recovered(upload.upload_id, upload.filename, upload.status, rebuilt, segments, missing)
