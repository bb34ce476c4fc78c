"""The boards: uploads in flight, their segments, and what has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.journal import Journal
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import (
    NewUpload,
    StageJob,
    StoredSegment,
    Upload,
)
from pipeline.ports.reservations import Standing


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """What the board says to a segment that has been written. `jobs` are to be enqueued by the caller."""

    status: Status
    accepted: bool
    jobs: tuple[StageJob, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingSegments:
    """Segments that wait for transfer, with the crc32c taken at receipt; `complete` when every segment of the upload is
    stored."""

    crc32c: Mapping[int, int]
    complete: bool


@dataclass(frozen=True, slots=True)
class UploadSnapshot:
    """An upload, its standing with the ledger of its temp volume, and the numbers of the segments that have arrived.

    `received` is empty once the upload takes no more segments.
    """

    upload: Upload
    standing: Standing | None
    received: Collection[int]


class UploadBoard(Protocol):
    """Uploads in flight: their status, by the lifecycle table alone. Errors: DependencyUnavailable, UPLOAD_NOT_FOUND
    (RequestError)."""

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        """Register as `waiting`. With a known Idempotency-Key: that upload and False. Raises IDEMPOTENCY_KEY_REUSED."""

    async def get(self, upload_id: str) -> Upload: ...

    async def known(self, upload_ids: Sequence[str]) -> Collection[str]:
        """Those that have a record."""

    async def rebuild(
        self, journal: Journal, *, has_file: bool, grants_seconds: float
    ) -> tuple[bool, Sequence[StageJob]]:
        """Make an upload's record anew from its journal, unless there is one that knows as much of the upload's end:
        whether this call did, and the jobs to enqueue. `has_file`: its temp file is there. A direct upload's client may
        hold grants for `grants_seconds` yet. Idempotent."""

    async def snapshot(self, upload_id: str) -> UploadSnapshot:
        """An upload with its standing and its received segments, in one round trip."""

    async def page(self, status: Status | None, before: tuple[int, str] | None, limit: int) -> Sequence[UploadSnapshot]:
        """Up to `limit` uploads, newest first, created before (created_at_ms, id), in one round trip."""

    async def apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> tuple[Status, bool]:
        """Apply an event by compare-and-set: the status after it, and whether this call changed it. Idempotent."""

    async def admit(self, upload_id: str) -> tuple[Status, bool, Sequence[StageJob]]:
        """Apply `admit`: as `apply`, and the jobs to enqueue where every byte is in the store already. Idempotent: a
        job that its caller did not enqueue comes back as overdue."""

    async def record_grant(self, upload_id: str, valid_seconds: float) -> Status:
        """A direct upload's client gets grants that are valid for so long; its time to expire begins anew. Returns its
        status; unless that is `granted`, nothing has changed and nothing is to be handed out."""

    async def complete(self, upload_id: str, segments: Sequence[StoredSegment]) -> Status:
        """The store holds every segment of a direct upload: record them, and apply `complete`. Returns the status.
        Idempotent."""

    async def ids(self, status: Status, older_than_ms: int, limit: int) -> Sequence[str]:
        """Uploads that have been in `status` for so long, oldest first."""

    async def mark_cleaned(self, upload_id: str) -> None:
        """An ended upload has been cleaned up: note it, keep the record for the retention time. Idempotent."""

    async def purge_expired(self, limit: int) -> int:
        """Take records past their retention out of the indexes; returns how many."""

    async def server_run(self) -> str:
        """Names this run of Redis: another one after a restart or a fail-over, which may have lost what was last
        written."""


class SegmentBoard(Protocol):
    """Which segments of an upload have arrived and which are stored. Errors as UploadBoard; StageLost where a
    fencing_token is fenced."""

    async def received(self, upload_id: str, numbers: Collection[int] | None = None) -> Mapping[int, int]:
        """Segment number -> crc32c, of all or of `numbers`."""

    async def record_received(self, upload_id: str, number: int, size_bytes: int, crc32c: int) -> SegmentVerdict:
        """A segment's bytes are on the temp volume. Not accepted: it was there before, or the upload takes none now."""

    async def record_fetched(self, job: StageJob, number: int, size_bytes: int, crc32c: int) -> None:
        """A range of an object in the store is on the temp volume. Idempotent. Raises StageLost."""

    async def invalidate(self, upload_id: str, number: int, crc32c: int) -> bool:
        """A segment's bytes do not match `crc32c`: it is missing again, and what was derived from it is undone.
        Idempotent."""

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        """Up to `limit` segments that wait for transfer, lowest numbers first. Raises StageLost."""

    async def record_stored(self, job: StageJob, segment: StoredSegment) -> None:
        """The store has a segment. Idempotent. Raises StageLost."""

    async def restore_stored(self, upload_id: str, etags: Mapping[int, str]) -> int:
        """The store has acknowledged these segments, but not in this Redis; how many of them it did not know of.
        Idempotent."""

    async def requeue_segments(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        """The store no longer has these segments as they were recorded: they wait for transfer again, and so does the
        stage of `job`. Returns what is to be enqueued. Raises StageLost."""

    async def stored(self, upload: Upload) -> Sequence[StoredSegment]:
        """Every stored segment, in order of number."""

    async def keep_session(self, upload_id: str, session: str) -> str:
        """Record the store's session unless one is recorded; returns the one that counts."""

    async def session_lost(self, job: StageJob, session: str) -> Collection[int]:
        """The store no longer knows this session: another is to be opened, and what was stored waits for transfer
        again. Returns those segments' numbers; none when another session counts already. Raises StageLost."""

    async def forget_session(self, upload_id: str, session: str) -> None:
        """The same of a direct upload that its client has not completed yet. Idempotent."""


class EndedList(Protocol):
    """Uploads of a volume that have ended and are not cleaned up yet. Errors: DependencyUnavailable."""

    async def due(self, volume: str, limit: int) -> Sequence[str]: ...

    async def defer(self, volume: str, upload_id: str, seconds: float) -> None:
        """Come back to it later."""

    async def defer_until(self, volume: str, upload_id: str, moment_ms: int) -> bool:
        """Come back to it at that moment, if it lies ahead; False: it has passed."""

    async def drop(self, volume: str, upload_id: str) -> None:
        """There is no such upload any more."""

    async def busy(self, upload_id: str) -> bool:
        """True while a stage of the upload may still be writing: running, under a live lease."""


class EventFeed(Protocol):
    """Tells who is listening that an upload has changed. Lossy: the board is the truth."""

    def watch(self, upload_id: str) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Yields once for each change, or more than once; changes in a burst may come as one."""
