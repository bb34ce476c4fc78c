"""Changing the recorded state of uploads. Only `uploads.record` and `uploads.recovery` import this module.

The import contract "Only the record and recovery change the state of an upload" in pyproject.toml checks that, which is
why `pipeline.ports` does not re-export these names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.journal import Ended, Entry, Journal
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, StageJob, StoredSegment, Upload


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """The board's response to a received segment. The caller enqueues `jobs`."""

    status: Status
    accepted: bool
    jobs: tuple[StageJob, ...] = ()


class UploadWriter(Protocol):
    """Changes the status of uploads, by the lifecycle table alone. Errors: DependencyUnavailable; RequestError
    UPLOAD_NOT_FOUND."""

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        """Register an upload in the status its transport begins with. For a known Idempotency-Key: that upload, and
        False. Raises RequestError IDEMPOTENCY_KEY_REUSED."""

    async def apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> tuple[Status, bool]:
        """Apply an event by compare-and-set: the status after it, and whether this call changed it. Idempotent."""

    async def admit(self, upload_id: str) -> tuple[Status, bool, Sequence[StageJob]]:
        """Apply `admit`: as `apply`, and the jobs to enqueue where every byte is in the store already. Idempotent: a
        job that its caller did not enqueue comes back as overdue."""

    async def record_grant(self, upload_id: str, valid_seconds: float) -> Status:
        """Note that a direct upload's client receives grants that are valid for `valid_seconds`; its time to expire
        starts again. Returns the status; unless it is `granted`, nothing has changed."""

    async def complete(self, upload_id: str, segments: Sequence[StoredSegment]) -> Status:
        """Record that the store holds every segment of a direct upload, and apply `complete`. Returns the status.
        Idempotent."""

    async def mark_cleaned(self, upload_id: str, *, forget: bool = True) -> None:
        """Note that an ended upload has been cleaned up. `forget`: its record is kept for the retention time, and
        otherwise without limit. Idempotent."""

    async def purge_expired(self, limit: int) -> int:
        """Remove up to `limit` records past their retention time from the indexes; returns how many."""


class SegmentWriter(Protocol):
    """Records segments. Errors as UploadWriter; StageLost where the caller passes a job that is not the latest run."""

    async def record_received(self, upload_id: str, number: int, size_bytes: int, crc32c: int) -> SegmentVerdict:
        """Record that a segment's bytes are on the temp volume. Not accepted: it had arrived before, or the upload
        takes no segments now."""

    async def record_fetched(self, job: StageJob, number: int, size_bytes: int, crc32c: int) -> None:
        """Record that a range of a stored object is on the temp volume. Idempotent. Raises StageLost."""

    async def invalidate(self, upload_id: str, number: int, crc32c: int) -> bool:
        """Record that a segment no longer matches `crc32c`: it is missing again, and the stages that read it start
        over. False: nothing changed. Idempotent."""

    async def record_stored(self, job: StageJob, segment: StoredSegment) -> None:
        """Record that the store has a segment. Idempotent. Raises StageLost."""

    async def requeue_segments(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        """Record that the store no longer has these segments: they wait for transfer again, and the stage of `job`
        waits for them. Returns the jobs to enqueue. Raises StageLost."""

    async def keep_session(self, upload_id: str, session: str) -> str:
        """Record the store's session unless one is recorded; returns the one that counts. Raises RequestError
        UPLOAD_NOT_FOUND."""

    async def session_lost(self, job: StageJob, session: str) -> Collection[int]:
        """Record that the store no longer knows `session`: the stored segments wait for transfer again. Returns their
        numbers; none if another session is recorded already. Raises StageLost."""

    async def restore_stored(self, upload_id: str, etags: Mapping[int, str]) -> int:
        """Record segments as stored that the journal says the store has acknowledged; returns how many were new.
        Idempotent."""

    async def forget_session(self, upload_id: str, session: str) -> None:
        """As `session_lost`, for a direct upload that its client has not completed yet. Idempotent."""


class UploadRebuilder(Protocol):
    """Restores the records of uploads. Errors: DependencyUnavailable."""

    async def rebuild(
        self, journal: Journal, *, has_file: bool, grants_seconds: float
    ) -> tuple[bool, Sequence[StageJob]]:
        """Recreate an upload's record from its journal, unless the existing record knows as much of the upload's end:
        whether this call did, and the jobs to enqueue. `has_file`: its temp file exists. The client of a direct upload
        may hold grants for another `grants_seconds`. Idempotent."""


class JournalWriter(Protocol):
    """Writes the journals of a temp volume. Errors: TempVolumeError."""

    async def begin(self, new: NewUpload) -> None:
        """Begin an upload's journal. Idempotent: an existing journal stays as it is."""

    async def note(self, upload_id: str, *entries: Entry) -> None:
        """Append entries in order; after a crash, possibly only some of them. Does nothing where there is no journal:
        the upload has been cleaned up."""

    async def end(self, upload_id: str, ended: Ended) -> None:
        """Note that the upload has ended. The journal is kept for a while, so that a Redis that comes back without its
        last second does not take the upload for one in flight. Idempotent; does nothing where there is no journal."""

    async def remove(self, upload_ids: Sequence[str]) -> None:
        """Remove the journals of ended uploads, and journals whose creation was interrupted."""
