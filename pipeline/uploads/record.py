"""The record of an upload: the board in Redis and the journal on the temp volume, changed together, here and nowhere
else.

Guarantee: whatever a client has been acknowledged is in the journal, so that Redis can be rebuilt from it; and a
journal never claims more than happened. Every method may be called twice, and the process may die between its two
steps: the next call, or recovery, completes it. An import contract keeps other modules from writing to either
(`ports.recording`).

Order. The journal is a write-ahead log: it is written first, and the board second. Redis then never holds progress that
would be missing after a rebuild, and what a client is acknowledged after the board has responded is in both.

    journal, then board     segment_received, segment_invalid, completed, tail_left, announce_length (then set_length)

The board is written first where its response decides what is true:

    create                  an Idempotency-Key decides which upload it is, and of two final uploads that name one
                            partial upload, the first one counts. Recovery relies on it too: an upload that
                            has a journal has been in Redis, so a journal without a record means that Redis lost data.
                            An upload that waits has no journal: it begins before the upload is `admitted`.
    cancel, expire          compare-and-set decides which of two ends counts; a journal records an end once.
    keep_session            of two workers that open a session, the first one counts.
    segment_stored, segments_gone, session_lost
                            a run with an old fencing token is refused, and must not write to the journal either. A
                            crash in between leaves a journal that knows less, or more, than the store holds: the
                            manifest then shows which segments to transfer again.
    choose_releases         (and segment_stored, of its segment)
                            the board decides what nothing reads any more. The journal follows before the bytes are
                            removed: until then they are on the temp volume, and recovery finds them there. The board
                            keeps what it has chosen until `segments_given`, so a crash anywhere repeats the rest.

Bytes of a tail that only Redis holds (`core.tail`) are in no journal. If Redis loses them, the client sends them again:
each response and each request for the offset shows how far the upload has come.

`segment_invalid` is written to the journal first for a second reason: once the board says that the segment is missing,
its client may send it again, and a late entry would invalidate the new one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from pipeline.core.errors import RequestError
from pipeline.core.journal_entries import (
    Announced,
    Completed,
    Ended,
    Gone,
    Lost,
    Planned,
    Received,
    Released,
    Session,
    Stored,
)
from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.model import NewUpload, StageJob, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.tail import Tail
from pipeline.logs import Log, logger
from pipeline.ports import AppendBegun, AppendTaken, LengthVerdict, SegmentVerdict, StoredVerdict, UploadReader
from pipeline.ports.recording import (
    Abandoned,
    AppendWriter,
    JournalWriter,
    ReleaseOrder,
    SegmentClaim,
    SegmentWriter,
    UploadWriter,
)
from pipeline.telemetry import UPLOADS_ENDED


class UploadRecord:
    """Changes the recorded state of uploads of one temp volume. Errors: DependencyUnavailable (board), TempVolumeError
    (journal), and what each method names."""

    def __init__(
        self,
        reader: UploadReader,
        uploads: UploadWriter,
        segments: SegmentWriter,
        appends: AppendWriter,
        journals: JournalWriter,
    ) -> None:
        self._reader = reader
        self._uploads = uploads
        self._segments = segments
        self._appends = appends
        self._journals = journals

    # -- the upload as a whole
    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        """Register an upload; False when its Idempotency-Key was known. Raises RequestError IDEMPOTENCY_KEY_REUSED."""
        return await self._uploads.create(new)

    async def begin_journal(self, upload: Upload) -> None:
        """Begin the journal of an upload in flight, unless it has one. Raises TempVolumeError."""
        await self._journals.begin(NewUpload.of(upload))

    async def end_journal(self, upload_id: str) -> None:
        """Journal the end of an upload whose journal may have begun after its cleanup. Does nothing where the upload is
        in flight, or has no record."""
        with suppress(RequestError):
            upload = await self._reader.get(upload_id)
            if upload.status in ENDED:
                await self.journal_end(upload)

    async def admit(self, upload_id: str) -> tuple[Status, bool, Sequence[StageJob]]:
        """Apply `admit`: the status, whether it changed, and the jobs to enqueue. Raises RequestError
        UPLOAD_NOT_FOUND."""
        return await self._uploads.admit(upload_id)

    async def record_grant(
        self, upload_id: str, valid_seconds: float, *, number: int = 0, least_bytes: int = 0
    ) -> Status:
        """Note how long the client of a direct upload may write to the store. See `UploadWriter.record_grant`. What is
        known of a deferred plan is not journaled: the next grant, or the completion, records it again."""
        return await self._uploads.record_grant(upload_id, valid_seconds, number=number, least_bytes=least_bytes)

    async def completed(
        self, upload_id: str, segments: Sequence[StoredSegment], plan: SegmentPlan | None = None
    ) -> None:
        """The store holds every segment of a direct upload. `plan`: of one whose plan was deferred; its size is within
        the limits of its owner, which `record_grant` has checked. Raises RequestError UPLOAD_NOT_FOUND."""
        planned = [Planned(plan.size_bytes, plan.segment_bytes)] if plan else []
        stored = [Stored(segment.number, segment.etag) for segment in segments]
        await self._journals.note(upload_id, *planned, *stored, Completed())
        await self._uploads.complete(upload_id, segments, plan)

    async def joined(self, upload: Upload, segments: Sequence[StoredSegment]) -> None:
        """Journal what `create` has decided: the segments of its parts belong to a final upload. Until then the
        journals of the parts must not end. Raises TempVolumeError."""
        await self.begin_journal(upload)
        stored = [Stored(segment.number, segment.etag) for segment in segments]
        await self._journals.note(upload.upload_id, *stored, Completed())

    async def cancel(self, upload_id: str) -> Status:
        """End an upload at its client's request; the status afterwards. Raises RequestError UPLOAD_NOT_FOUND."""
        reason = RequestError("UPLOAD_CANCELLED")
        status = await self._end(upload_id, Event.CANCEL, reason)
        if status is Status.CANCELLED:
            await self._journals.end(upload_id, Ended(status, (reason.code, reason.message)))
        return status

    async def expire(self, upload_id: str, *, deadline: bool = False) -> None:
        """End an upload that its client has abandoned, or that is not complete at its `deadline`. Its cleanup journals
        the end. Raises RequestError UPLOAD_NOT_FOUND."""
        await self._end(upload_id, Event.EXPIRE, RequestError("UPLOAD_DEADLINE" if deadline else "UPLOAD_EXPIRED"))

    async def _end(self, upload_id: str, event: Event, reason: RequestError) -> Status:
        status, changed = await self._uploads.apply(upload_id, event, (reason.code, reason.message))
        if changed:
            UPLOADS_ENDED.labels(status, reason.code).inc()
            logger(upload_id=upload_id).info(Log.UPLOAD_ENDED, status=str(status))
        return status

    async def journal_end(self, upload: Upload) -> None:
        """Journal the end of an upload, whatever ended it. Cleanup does so before it removes anything. While a final
        upload has a journal, that journal says to whom its parts belong; from now on theirs do."""
        for part in upload.parts:
            await self._journals.end(part.upload_id, Ended(Status.JOINED))
        error = (upload.error_code, upload.error_message or "") if upload.error_code else None
        await self._journals.end(upload.upload_id, Ended(upload.status, error))

    async def mark_cleaned(self, upload_id: str, *, forget: bool = True) -> None:
        """An ended upload is cleaned up; its record is kept for the retention time, or, unless `forget`, until an
        operator removes it."""
        await self._uploads.mark_cleaned(upload_id, forget=forget)

    async def purge_expired(self, limit: int) -> None:
        """Remove up to `limit` records that are past their retention time."""
        await self._uploads.purge_expired(limit)

    async def remove_journals(self, upload_ids: Sequence[str]) -> None:
        """Remove the journals of uploads that are cleaned up."""
        await self._journals.remove(upload_ids)

    # -- its segments
    async def segment_received(
        self,
        upload_id: str,
        number: int,
        size_bytes: int,
        crc32c: int,
        token: str | None = None,
        appender: str | None = None,
        md5_hex: str = "",
    ) -> SegmentVerdict:
        """A segment's bytes are on the temp volume; `token` is that of its claim, `appender` that of its append,
        `md5_hex` what its client has announced, for the store to compare. Raises RequestError UPLOAD_NOT_FOUND."""
        announced = [Announced(number, crc32c, md5_hex)] if md5_hex else []
        await self._journals.note(upload_id, *announced, Received(number, crc32c))
        return await self._segments.record_received(
            upload_id, number, size_bytes, crc32c, token, appender=appender, md5_hex=md5_hex
        )

    async def claim_segment(self, upload: Upload, number: int, token: str, seconds: float) -> SegmentClaim:
        """See `SegmentWriter.claim`. Not journaled: it concerns bytes that do not count yet. Raises RequestError
        UPLOAD_NOT_FOUND; and of a file whose length is not known, what refuses it."""
        plan = upload.plan
        end_bytes = plan.offset(number) + plan.length(number) if upload.deferred else None
        return await self._segments.claim(upload.upload_id, number, token, seconds, end_bytes=end_bytes)

    async def abandon_segment(self, upload_id: str, number: int, token: str | None, *, taken: bool) -> Abandoned:
        """See `SegmentWriter.abandon`."""
        return await self._segments.abandon(upload_id, number, token, taken=taken)

    async def segment_invalid(self, upload_id: str, number: int, crc32c: int, *, wrong_digest: bool = False) -> bool:
        """A segment on the temp volume no longer matches the crc32c computed on receipt or, with `wrong_digest`, its
        bytes are not those whose MD5 its client has announced: it is missing again. False: it had been invalidated or
        sent again already, or the upload has ended."""
        await self._journals.note(upload_id, Lost(number, crc32c))
        invalidated = await self._segments.invalidate(upload_id, number, crc32c, wrong_digest=wrong_digest)
        if invalidated:
            logger(upload_id=upload_id).warning(Log.SEGMENT_LOST, number=number, wrong_digest=wrong_digest)
        return invalidated

    async def segment_stored(self, job: StageJob, segment: StoredSegment, *, compared: bool = False) -> StoredVerdict:
        """The store has acknowledged a segment, and `compared` it with the MD5 of its client. If it is `released`, its
        bytes are to leave the temp volume now. Raises StageLost."""
        verdict = await self._segments.record_stored(job, segment, compared=compared)
        stored = Stored(segment.number, segment.etag)
        await self._journals.note(job.upload_id, stored, *([Released((segment.number,))] if verdict.released else []))
        return verdict

    async def choose_releases(self, upload_id: str, volume: str, limit: int) -> ReleaseOrder:
        """See `SegmentWriter.choose_releases`. The worker that stored a segment may have died before it noted that, so
        it is noted again."""
        order = await self._segments.choose_releases(upload_id, volume, limit)
        if order.released:
            stored = [Stored(number, etag) for number, etag in sorted(order.released.items())]
            await self._journals.note(upload_id, *stored, Released(tuple(order.released)))
        return order

    async def unaccounted(self, upload_id: str) -> ReleaseOrder:
        """See `SegmentWriter.unaccounted`."""
        return await self._segments.unaccounted(upload_id)

    async def segments_given(self, upload_id: str, numbers: Collection[int], *, all_segments: bool = False) -> None:
        """The room of these segments has been given back. See `SegmentWriter.record_given`."""
        await self._segments.record_given(upload_id, numbers, all_segments=all_segments)

    async def segments_gone(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        """The store no longer has segments that it had acknowledged; the jobs to enqueue. Raises StageLost."""
        jobs = await self._segments.requeue_segments(job, numbers)
        await self._journals.note(job.upload_id, *map(Gone, numbers))
        return jobs

    # -- its tail
    async def begin_append(self, upload_id: str, token: str, *, first: bool, force: bool) -> AppendBegun | AppendTaken:
        """See `AppendWriter.begin`. Raises RequestError UPLOAD_NOT_FOUND."""
        return await self._appends.begin(upload_id, token, first=first, force=force)

    async def tail_left(self, upload_id: str, token: str, run: int, tail: Tail) -> bool:
        """An append has left a tail, and ends. See `AppendWriter.record`."""
        if not tail.held:
            await self._journals.note_tail(upload_id, run, tail)
        return await self._appends.record(upload_id, token, tail, waited=False)

    async def end_append(self, upload_id: str, token: str, *, waited: bool = False) -> bool:
        """An append ends without another tail. See `AppendWriter.record`."""
        return await self._appends.record(upload_id, token, None, waited=waited)

    # -- its length, if that was not known at its creation
    async def check_length(self, upload: Upload, token: str, size_bytes: int) -> LengthVerdict:
        """See `AppendWriter.check_length`. It changes only what is counted, so it is not journaled. Raises RequestError
        UPLOAD_NOT_FOUND."""
        return await self._appends.check_length(upload.upload_id, upload.volume, token, size_bytes)

    async def announce_length(self, upload: Upload, size_bytes: int) -> None:
        """Journal the length of a file. If there is one in the journal already, that one counts."""
        await self._journals.note(upload.upload_id, Planned(size_bytes, upload.segment_bytes))

    async def set_length(self, upload: Upload, token: str, size_bytes: int) -> LengthVerdict:
        """See `AppendWriter.set_length`. `size_bytes`: as the journal has it. Raises RequestError UPLOAD_NOT_FOUND."""
        plan = SegmentPlan(size_bytes, upload.segment_bytes)
        return await self._appends.set_length(upload.upload_id, upload.volume, token, plan)

    # -- the store's session
    async def keep_session(self, upload_id: str, session: str) -> str:
        """Record the session that the store has opened, unless one is recorded; returns the one that counts."""
        kept = await self._segments.keep_session(upload_id, session)
        if kept:
            await self._journals.note(upload_id, Session(kept))
        return kept

    async def session_lost(self, job: StageJob, session: str) -> None:
        """The store no longer knows `session`: its segments wait for transfer again. Raises StageLost."""
        gone = await self._segments.session_lost(job, session)
        if gone:
            await self._journals.note(job.upload_id, *map(Gone, gone))

    async def forget_session(self, upload_id: str, session: str) -> None:
        """As `session_lost`, for a direct upload in `granted`: its next grants belong to a new session, which is
        journaled then."""
        await self._segments.forget_session(upload_id, session)
