"""The ports: what the stages need from the world, as small Protocols. Each method names the errors it raises and says
whether it may be called twice.

Guarantee: stages depend on these and on `core` alone. Every implementation of a port passes the port's contract suite.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pipeline.core.admission import DiskReading
from pipeline.core.errors import SluiceError
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import (
    ContentRecord,
    NewUpload,
    ObjectTarget,
    SegmentSpan,
    StageJob,
    StoredObject,
    StoredSegment,
    Upload,
)
from pipeline.core.segments import StoreLimits
from pipeline.core.stages import Stage
from schemas.content import Content
from schemas.leftovers import Leftover
from schemas.media import MediaMetadata

# -- the object store


class SegmentSource(Protocol):
    """The bytes of one segment on the temp volume, to be read as often as a store needs (once, if it can).

    `chunks` yields blocks of at most 1 MiB in order and checks them against the digest taken at receipt. It raises
    SegmentCorrupt before the last block is handed out, so that a wrong segment is never complete at the store;
    TempVolumeError when the file is gone.
    """

    @property
    def number(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class ObjectStore(Protocol):
    """A store of large objects made of segments. Errors: StoreUnavailable (worth retrying), StoreError (not),
    SegmentCorrupt.

    Nothing is visible under `target.key` before `seal`, but for an upload of one segment, which is a plain object.
    """

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> StoreLimits: ...

    async def begin(self, target: ObjectTarget) -> str:
        """Open a transfer and return its session (S3's UploadId; "" where none is needed). Not idempotent: a session
        that lost the race to be recorded is given to `abort`."""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """Stream one segment into the store and verify what the store says it got. Idempotent. Raises SegmentCorrupt
        when the bytes on the temp volume are not those that arrived, StoreUnavailable, StoreError."""

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> StoredObject:
        """Write the manifest over all segments, in order. Idempotent. Raises MANIFEST_REFUSED when a segment is missing
        or changed; `segments` in its detail are the numbers to put again, as far as the store tells."""

    async def abort(self, target: ObjectTarget) -> None:
        """Remove whatever there is of an upload: session, segments, manifest or object. Idempotent; success when
        nothing is there."""

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Store a small object whole. Idempotent."""


class ObjectReader(Protocol):
    """Beside ObjectStore: what reads and removes whole objects."""

    def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Yield bytes `first` to `last` (inclusive; None, or behind the end: to the end), in blocks of at most 1 MiB.
        Raises StoreError STORE_OBJECT_MISSING, STORE_REJECTED when `first` lies behind the end, StoreUnavailable."""

    async def head(self, key: str) -> StoredObject:
        """Size and etag of an object, without its segments. Raises StoreError STORE_OBJECT_MISSING,
        StoreUnavailable."""

    async def delete(self, key: str) -> None:
        """Remove an object, its manifest and its segments, or whatever else `list_keys` gave this name. Idempotent;
        success when nothing is there."""

    def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """Every name of the store that begins with `prefix`, to find orphans: objects by their keys, then segments that
        lie apart as `segment:UPLOAD/NUMBER` (more may follow), open multipart uploads as `multipart:KEY:SESSION`."""

    async def check(self) -> str:
        """Make sure that the store answers and may be written to; returns a sentence for `sluice doctor`. Raises
        StoreError."""


class Store(ObjectStore, ObjectReader, Protocol):
    """What every store can do."""


@runtime_checkable
class DownloadGrants(Protocol):
    """Beside ObjectStore, where a store has it: URLs with which a client reads from the store itself for some time.
    Whoever has such a URL may use it; it is for GET (Swift's also for HEAD). Errors: as ObjectStore."""

    async def grant_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """A URL of the object (of so many segments), answered with a Content-Disposition that carries `filename`.
        None: as it is set up, this store gives none."""

    async def grant_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> str | None:
        """A URL of one segment's bytes, and nothing else (the answer is 200 or 206). None as above."""


class Stores(Protocol):
    """The stores that are set up here, by the name that uploads and contents remember."""

    def named(self, name: str) -> Store:
        """Raises StoreError STORE_REJECTED when there is no such store here."""


# -- reservations


@dataclass(frozen=True, slots=True)
class AdmissionOutcome:
    """What one pass of the admission script did. `granted` is everything admitted but not yet confirmed, from this pass
    or from one whose caller died; `lapsed` are reservations whose lease ran out; `queue_position` counts from 1, 0 when
    the upload holds bytes."""

    granted: tuple[tuple[str, int], ...]
    lapsed: tuple[str, ...]
    queue_position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """`queue_position` counts from 1; 0: it holds bytes, until `lease_until_ms` unless renewed."""

    queue_position: int
    lease_until_ms: int | None


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """A temp volume's books: bytes and counts."""

    budget_bytes: int
    reserved_bytes: int
    backed_bytes: int
    free_bytes: int
    reservations: int
    waiting: int


class ReservationLedger(Protocol):
    """Who holds bytes of a temp volume: `core.admission`'s rules, decided atomically. Errors: DependencyUnavailable.
    All idempotent."""

    async def request(self, upload_id: str, size_bytes: int, disk: DiskReading) -> AdmissionOutcome | None:
        """Join the queue (if `size_bytes` > 0) and admit all that may be. None: `disk.epoch` is stale, read the disk
        again."""

    async def run(self, disk: DiskReading) -> AdmissionOutcome | None:
        """Admit all that may be admitted now, note what lapsed. None as in `request`."""

    async def confirm(self, upload_id: str, backed_bytes: int) -> bool:
        """A grant was carried out and so many of its bytes are preallocated. False: there is no such reservation."""

    async def postpone(self, upload_id: str) -> bool:
        """The disk could not back a grant: back to its old place in the queue."""

    async def renew(self, upload_id: str) -> bool:
        """Prolong the lease. False: there is no such reservation."""

    async def release(self, upload_id: str) -> int:
        """Leave the queue or give the bytes back; returns bytes."""

    async def standing(self, upload_id: str) -> Standing | None:
        """Where an upload stands; None when it neither waits nor holds bytes."""

    async def epoch(self) -> int:
        """The count of preallocations, to be read before the disk is."""

    async def snapshot(self) -> VolumeSnapshot: ...

    async def holders(self) -> Mapping[str, int]:
        """Every reservation: upload id -> bytes."""


# -- the board: uploads in flight


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


class UploadBoard(Protocol):
    """Uploads in flight: their status, by the lifecycle table alone. Errors: DependencyUnavailable, UPLOAD_NOT_FOUND
    (RequestError)."""

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        """Register as `waiting`. With a known Idempotency-Key: that upload and False. Raises IDEMPOTENCY_KEY_REUSED."""

    async def get(self, upload_id: str) -> Upload: ...

    async def page(self, status: Status | None, before: tuple[int, str] | None, limit: int) -> Sequence[Upload]:
        """Uploads, newest first, from just before (created_at_ms, id)."""

    async def apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> tuple[Status, bool]:
        """Apply an event by compare-and-set: the status after it, and whether this call changed it. Idempotent."""

    async def ids(self, status: Status, older_than_ms: int, limit: int) -> Sequence[str]:
        """Uploads that have been in `status` for so long, oldest first."""

    async def forget(self, upload_id: str) -> None:
        """An ended upload has been cleaned up: note it, keep the record for the retention time. Idempotent."""

    async def retire(self, limit: int) -> int:
        """Take records past their retention out of the indexes; returns how many."""


class SegmentBoard(Protocol):
    """Which segments of an upload have arrived and which are stored. Errors as UploadBoard; StageLost where a
    generation is fenced."""

    async def received(self, upload_id: str, numbers: Collection[int] | None = None) -> Mapping[int, int]:
        """Segment number -> crc32c, of all or of `numbers`."""

    async def record_received(self, upload_id: str, number: int, size_bytes: int, crc32c: int) -> SegmentVerdict:
        """A segment's bytes are on the temp volume. Not accepted: it was there before, or the upload takes none now."""

    async def record_lost(self, upload_id: str, number: int, crc32c: int) -> bool:
        """A segment's bytes do not match `crc32c`: it is missing again, and what was derived from it is undone.
        Idempotent."""

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        """Up to `limit` segments that wait for transfer, lowest numbers first. Raises StageLost."""

    async def record_stored(self, job: StageJob, segment: StoredSegment) -> None:
        """The store has a segment. Idempotent. Raises StageLost."""

    async def put_again(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        """The store no longer has these segments as they were recorded: they wait for transfer again, and so does the
        stage of `job`. Returns what is to be enqueued. Raises StageLost."""

    async def stored(self, upload: Upload) -> Sequence[StoredSegment]:
        """Every stored segment, in order of number."""

    async def keep_session(self, upload_id: str, session: str) -> str:
        """Record the store's session unless one is recorded; returns the one that counts."""


@dataclass(frozen=True, slots=True)
class StageStart:
    """`waited_seconds` in the queue; `takeovers`: how many workers have died over this stage of this upload."""

    waited_seconds: float
    takeovers: int


@dataclass(frozen=True, slots=True)
class OverdueStage:
    """A stage to enqueue. `dead_generation`: the run that it was taken over from; None: it was queued all along."""

    job: StageJob
    dead_generation: int | None
    due_in_seconds: float


class StageBoard(Protocol):
    """The state of each stage, under a lease with a fencing number. Errors: DependencyUnavailable, StageLost."""

    @property
    def lease_seconds(self) -> float:
        """A run that has not renewed for so long is taken over."""

    async def start(self, job: StageJob, worker: str) -> StageStart:
        """Take the stage's lease. Raises StageLost when `job` is not the latest run, or the upload has ended."""

    async def renew(self, job: StageJob) -> None:
        """Prolong the lease. Raises StageLost."""

    async def finish(
        self, job: StageJob, result: Mapping[str, Any] | None, *, skipped: bool = False
    ) -> Sequence[StageJob]:
        """The stage is done: keep its result, say which jobs are to be enqueued. Raises StageLost."""

    async def idle(self, job: StageJob) -> bool:
        """Transfer has nothing to do now: give up the lease. False: more has arrived meanwhile, go on. Raises
        StageLost."""

    async def retry(self, job: StageJob, error_code: str, after_seconds: float) -> StageJob:
        """Count a failed attempt and queue the next one. Raises StageLost."""

    async def hand_back(self, job: StageJob) -> StageJob:
        """Queue the stage again without counting an attempt (a worker is told to stop). Raises StageLost."""

    async def fail(self, job: StageJob, error: SluiceError) -> None:
        """The stage cannot succeed: it fails, and the upload with it. Raises StageLost."""

    async def acknowledge_end(self, job: StageJob) -> None:
        """This run has stopped because the upload ended: nothing more will be written by it. Idempotent."""

    async def results(self, upload_id: str) -> Mapping[Stage, Mapping[str, Any]]:
        """What the finished stages left for later ones."""

    async def stale(self, jobs: Sequence[StageJob]) -> Sequence[StageJob]:
        """Those of `jobs` that can no longer run: the stage has a later run, or has ended."""

    async def overdue(self, limit: int) -> Sequence[OverdueStage]:
        """Take over stages whose lease has lapsed: each comes back as a new run to enqueue. Queued ones whose job may
        be lost come back as they are: enqueueing is idempotent by job id."""


class EndedList(Protocol):
    """Uploads of a volume that have ended and are not cleaned up yet. Errors: DependencyUnavailable."""

    async def due(self, volume: str, limit: int) -> Sequence[str]: ...

    async def defer(self, volume: str, upload_id: str, seconds: float) -> None:
        """Come back to it later."""

    async def drop(self, volume: str, upload_id: str) -> None:
        """There is no such upload any more."""

    async def busy(self, upload_id: str) -> bool:
        """True while a stage of the upload may still be writing: running, under a live lease."""


class StageQueue(Protocol):
    """Carries jobs to workers. Errors: DependencyUnavailable."""

    async def enqueue(self, job: StageJob, after_seconds: float = 0.0) -> None:
        """Idempotent by job id; wakes a worker at once."""

    async def jobs(self, volume: str, limit: int) -> Sequence[StageJob]:
        """What stands in the queues that workers of this volume read, up to `limit` of each, oldest first."""

    async def forget(self, job: StageJob) -> None:
        """Take a dead run's job out of the queue, where it would stand in the way. Idempotent."""


class EventFeed(Protocol):
    """Tells who is listening that an upload has changed. Lossy: the board is the truth."""

    def watch(self, upload_id: str) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Yields once for each change, or more than once; changes in a burst may come as one."""


# -- the temp volume


class TempVolume(Protocol):
    """One directory on one disk. Errors: TempVolumeError (TEMP_VOLUME_FULL, TEMP_VOLUME_FAILED, TEMP_FILE_MISSING).
    Blocking work runs in threads."""

    @property
    def name(self) -> str: ...

    def path(self, upload_id: str) -> Path: ...

    async def allocate(self, upload_id: str, size_bytes: int) -> int:
        """Make the upload's temp file at its full length; returns how many bytes the disk has set aside for it.
        Idempotent."""

    async def write(self, upload_id: str, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        """Write blocks at an offset, extend the running crc32c over them and return it."""

    def source(self, upload_id: str, number: int, offset: int, size_bytes: int, crc32c: int) -> SegmentSource: ...

    async def verify(self, upload_id: str, size_bytes: int) -> None:
        """The temp file is there with its full length. Raises TEMP_FILE_MISSING."""

    async def digest(self, upload_id: str, algorithm: str) -> bytes:
        """Digest of the whole file: "md5", "sha-256" or "crc32c"."""

    async def remove(self, upload_id: str) -> None:
        """Idempotent."""

    async def free_bytes(self) -> int: ...

    async def list(self) -> Mapping[str, tuple[int, float]]:
        """Every temp file: upload id -> (bytes set aside on the disk, seconds since it last changed)."""


# -- media and content


class MediaProbe(Protocol):
    async def probe(self, path: Path) -> MediaMetadata:
        """Read a file's metadata. Idempotent, reads only. Raises MediaError NOT_MEDIA, MEDIA_TIMEOUT; SluiceError
        MEDIA_TOOL_FAILED."""


class Thumbnailer(Protocol):
    async def thumbnail(self, path: Path, metadata: MediaMetadata) -> bytes | None:
        """A JPEG that fits 640 x 640 pixels, or None where there is nothing to show. Raises as MediaProbe."""


class LeftoverRepository(Protocol):
    """What is left of deleted contents. Errors: DependencyUnavailable."""

    async def leave(self, content_id: str, lease_seconds: float) -> Leftover:
        """A content's row goes and its leftover comes, claimed by the caller, in one step. Raises CONTENT_NOT_FOUND
        (RequestError); so does a second call."""

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Leftover]:
        """Leftovers that are due, each to one caller until its lease ends."""

    async def finish(self, content_id: str) -> None:
        """Nothing is left any more. Idempotent."""

    async def defer(self, content_id: str, error: tuple[str, str], after_seconds: float) -> None:
        """An attempt failed with (code, message)."""

    async def page(self, before: tuple[int, str] | None, limit: int) -> Sequence[Leftover]:
        """What is left, newest first, from just before (deleted_at in microseconds since 1970, id)."""

    async def forget(self, done_seconds: float) -> None:
        """Drop what has been gone for so long."""


class CachePurge(Protocol):
    """A cache in front of the store."""

    async def purge(self, key: str) -> None:
        """From now on nobody gets this object from the cache. Idempotent. Raises DependencyUnavailable
        CACHE_PURGE_FAILED."""


class ContentRepository(Protocol):
    """Content metadata. Errors: DependencyUnavailable, CONTENT_NOT_FOUND (RequestError)."""

    async def save(self, record: ContentRecord) -> Content:
        """Write a content in one transaction. Idempotent: a second call returns the row that is there."""

    async def get(self, content_id: str) -> Content: ...

    async def page(self, kind: str | None, before: tuple[int, str] | None, limit: int) -> Sequence[Content]:
        """Contents, newest first, from just before (created_at in microseconds since 1970, id)."""

    async def segments(self, content_id: str) -> Sequence[StoredSegment]:
        """A content's segments in order; empty when there is no such content."""

    async def delete(self, content_id: str) -> None:
        """Remove a content's row. Idempotent."""
