"""Changing the recorded state of uploads. Only `uploads.record` and `uploads.recovery` import this module.

The import contract "Only the record and recovery change the state of an upload" in pyproject.toml checks that, which is
why `pipeline.ports` does not re-export these names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended, Entry
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, StageJob, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.tail import Tail
from pipeline.ports.uploads import AppendBegun, AppendTaken, LengthVerdict, SegmentVerdict, StoredVerdict


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """The board's response to a request that is to write a segment. `claimed`: it may take room. `crc32c`: the segment
    has arrived already. `busy`: if there is no room for it, its client waits for Sluice, which has to store or remove
    other segments, and not for other requests of its own."""

    status: Status
    claimed: bool
    crc32c: int | None = None
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Abandoned:
    """What is left of a request that failed to write a segment. `punch`: its bytes are to be removed; `give`: its room
    is to be given back."""

    punch: bool
    give: bool


@dataclass(frozen=True, slots=True)
class ReleaseOrder:
    """Segments whose bytes are to leave the temp volume. `released`: number -> etag of stored segments; `unfinished`:
    segments that a request began to write and did not finish. `windowed`: whether their upload has a window."""

    windowed: bool
    released: Mapping[int, str]
    unfinished: Sequence[int]


class UploadWriter(Protocol):
    """Changes the status of uploads, by the lifecycle table alone. Errors: DependencyUnavailable; RequestError
    UPLOAD_NOT_FOUND."""

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        """Register an upload in the status its transport begins with, and queue the stages that may start at once
        (`Upload.queued_jobs`). For a known Idempotency-Key: that upload, and False. Raises RequestError
        IDEMPOTENCY_KEY_REUSED. A final upload takes over the segments of its parts, and ends them, in the same
        step; one that consists of the same parts already is returned as known. Raises RequestError UPLOAD_NOT_FOUND,
        PARTIAL_UPLOADS_NOT_STORED, PARTIAL_UPLOAD_USED where they cannot be joined."""

    async def apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> tuple[Status, bool]:
        """Apply an event by compare-and-set: the status after it, and whether this call changed it. Idempotent."""

    async def admit(self, upload_id: str) -> tuple[Status, bool, Sequence[StageJob]]:
        """Apply `admit`: as `apply`, and the jobs to enqueue where every byte is in the store already. Idempotent: a
        job that its caller did not enqueue comes back as overdue."""

    async def record_grant(
        self, upload_id: str, valid_seconds: float, *, number: int = 0, least_bytes: int = 0
    ) -> Status:
        """Note that a direct upload's client receives grants that are valid for `valid_seconds`; its time to expire
        starts again. Of a deferred plan: `number` is the highest segment of these grants, and the file has
        `least_bytes` at least, which count towards the limits of its owner from now on. Returns the status; unless it
        is `granted`, nothing has changed. Raises RequestError FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT,
        DAILY_LIMIT."""

    async def complete(
        self, upload_id: str, segments: Sequence[StoredSegment], plan: SegmentPlan | None = None
    ) -> Status:
        """Record that the store holds every segment of a direct upload, apply `complete`, and queue the stages that may
        start (`Upload.queued_jobs`). `plan`: of an upload whose plan was deferred. Returns the status. Idempotent."""

    async def mark_cleaned(self, upload_id: str, *, forget: bool = True) -> None:
        """Note that an ended upload has been cleaned up. `forget`: its record is kept for the retention time, and
        otherwise without limit. Idempotent."""

    async def purge_expired(self, limit: int) -> int:
        """Remove up to `limit` records past their retention time from the indexes; returns how many."""


class SegmentWriter(Protocol):
    """Records segments. Errors as UploadWriter; StageLost where the caller passes a job that is not the latest run."""

    async def record_received(
        self,
        upload_id: str,
        number: int,
        size_bytes: int,
        crc32c: int,
        token: str | None = None,
        *,
        restored: bool = False,
        etag: str | None = None,
        appender: str | None = None,
        md5_hex: str = "",
    ) -> SegmentVerdict:
        """Record that a segment's bytes are on the temp volume. Not accepted: it had arrived before, the upload takes
        no segments now, or what `refused` says. `token`: of the claim, where room was taken; `restored`: recovery has
        found the bytes; `etag`: it has not, because they were released and the store has them; `appender`: of the
        append that has brought them; `md5_hex`: what its client has announced, for the store to compare. Unless
        `restored`, its client is there: the lease of its reservation is extended, whether or not it is accepted."""

    async def claim(
        self, upload_id: str, number: int, token: str, seconds: float, *, end_bytes: int | None = None
    ) -> SegmentClaim:
        """Announce a request that takes room for a segment and writes it within `seconds`. Not claimed: it has arrived,
        the upload takes no segments, or its room is just being given back. `end_bytes`: where the segment of a file
        ends whose length is not known; so many bytes count towards the limits of its owner from now on. Raises
        RequestError FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT, DAILY_LIMIT."""

    async def abandon(self, upload_id: str, number: int, token: str | None, *, taken: bool) -> Abandoned:
        """A request that was to write a segment, and may have `taken` room for it, has failed. Until `record_given`, no
        other request takes room that is to be given back. Idempotent."""

    async def choose_releases(self, upload_id: str, volume: str, limit: int) -> ReleaseOrder:
        """Mark up to `limit` stored segments that nothing reads any more as released. What was chosen before and not
        confirmed by `record_given` is returned again."""

    async def record_given(self, upload_id: str, numbers: Collection[int], *, all_segments: bool = False) -> None:
        """The room of these segments has been given back, so that it can be taken. `all_segments`: ends what
        `unaccounted` began. Idempotent."""

    async def unaccounted(self, upload_id: str) -> ReleaseOrder:
        """Segments that should have no bytes on the temp volume, as `unfinished`. Until `record_given`, no request
        writes."""

    async def invalidate(self, upload_id: str, number: int, crc32c: int, *, wrong_digest: bool = False) -> bool:
        """Record that a segment no longer matches `crc32c` or, with `wrong_digest`, that its bytes, which do, are not
        those whose MD5 its client has announced: it is missing again, and the stages that read it start over. False:
        nothing changed. Idempotent."""

    async def record_stored(self, job: StageJob, segment: StoredSegment, *, compared: bool = False) -> StoredVerdict:
        """Record that the store has a segment, and `compared` it with the MD5 of its client. Idempotent. Raises
        StageLost."""

    async def requeue_segments(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        """Record that the store no longer has these segments: they wait for transfer again, released ones for their
        client, and the stage of `job` waits for them. Returns the jobs to enqueue. Raises StageLost."""

    async def keep_session(self, upload_id: str, session: str) -> str:
        """Record the store's session unless one is recorded; returns the one that counts. Raises RequestError
        UPLOAD_NOT_FOUND."""

    async def session_lost(self, job: StageJob, session: str) -> Collection[int]:
        """Record that the store no longer knows `session`: the stored segments wait for transfer again, released ones
        for their client. Returns their numbers; none if another session is recorded already. Raises StageLost."""

    async def restore_stored(self, upload_id: str, etags: Mapping[int, str], released: Collection[int]) -> int:
        """Record segments as stored that the journal says the store has acknowledged, and as released those whose bytes
        have left the temp volume; returns how many were new. Idempotent."""

    async def forget_session(self, upload_id: str, session: str) -> None:
        """As `session_lost`, for a direct upload that its client has not completed yet. Idempotent."""


class AppendWriter(Protocol):
    """Records who appends to an upload, and the tail that an append leaves. Errors as UploadWriter."""

    async def begin(self, upload_id: str, token: str, *, first: bool, force: bool) -> AppendBegun | AppendTaken:
        """Begin an append by the request `token`. The newest request wins: it asks once with `first`, and again until
        the one that appends has ended. `force`: that one has not ended in time, and may not record anything from now
        on."""

    async def record(self, upload_id: str, token: str, tail: Tail | None, *, waited: bool) -> bool:
        """Record the tail that an append has left, or that it has `waited` in vain for room, and end it. False:
        another request appends now, or the upload takes no bytes any more."""

    async def restore(self, upload_id: str, tail: Tail) -> bool:
        """Record a tail that recovery has found on the temp volume, where the board knows less. Idempotent."""

    async def check_length(self, upload_id: str, volume: str, token: str, size_bytes: int) -> LengthVerdict:
        """Whether the file of the append `token`, whose length is not known, may have this one. It counts towards the
        limits of its owner from now on. Raises RequestError FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT,
        DAILY_LIMIT."""

    async def set_length(self, upload_id: str, volume: str, token: str | None, plan: SegmentPlan) -> LengthVerdict:
        """Set the length of a file that is not known, unless it is known already: its plan, what it counts towards the
        limits of its owner, what its window still needs, and queue the stages that waited for it. `token`: of the
        append; None: of recovery. Idempotent."""


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

    async def note_tail(self, upload_id: str, run: int, tail: Tail) -> None:
        """Note the tail that an append has left, in place of that of an earlier one: chunks of any size take no room.
        `run`: of the append. Does nothing where there is no journal."""

    async def end(self, upload_id: str, ended: Ended) -> None:
        """Note that the upload has ended. The journal is kept for a while, so that a Redis that comes back without its
        last second does not take the upload for one in flight. Idempotent; does nothing where there is no journal."""

    async def remove(self, upload_ids: Sequence[str]) -> None:
        """Remove the journals of ended uploads, and journals whose creation was interrupted."""
