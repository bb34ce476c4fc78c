"""Reading uploads in flight: their records, segments and journals. `ports.recording` has what changes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pipeline.core.journal import Journal
from pipeline.core.lifecycle import Status
from pipeline.core.model import StageJob, Upload
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.tail import Tail
from pipeline.ports.reservations import Standing


@dataclass(frozen=True, slots=True)
class UploadSnapshot:
    """An upload, its standing with the ledger of its temp volume, and the numbers of the segments that have arrived.

    `standing`: until every byte has arrived. `deadline_ms`: when it expires unless every byte has arrived by then.
    `received` is empty once the upload takes no more segments. `wanted`: segments that the reader needs next. `media`:
    the result of stage `probe`, only of an upload that was asked for alone.
    """

    upload: Upload
    standing: Standing | None
    received: Collection[int]
    wanted: Collection[int] = ()
    media: Mapping[str, Any] | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FoundUploads:
    """What a search has found, newest first, after it examined so many uploads. `rest`: (created_at_ms, id) of the last
    one, if there are more."""

    uploads: Sequence[UploadSnapshot]
    examined: int
    rest: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class PendingSegments:
    """Segments that wait for transfer, with the crc32c computed on receipt. `complete`: every segment is stored. `md5`:
    in hexadecimal, of those for which the store is to compare what their clients have announced."""

    crc32c: Mapping[int, int]
    complete: bool
    md5: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """The board's response to a received segment. The caller enqueues `jobs`. `wanted`: up to 100 segments that the
    reader needs next. `refused`: "differs", the store has lost this segment and the client has sent other bytes than
    before; "unclaimed", its room was given back before it arrived; "superseded", another request appends now."""

    status: Status
    accepted: bool
    jobs: tuple[StageJob, ...] = ()
    wanted: Sequence[int] = ()
    refused: Literal["differs", "unclaimed", "superseded"] | None = None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """The board's response to a stored segment. `released`: its bytes are to leave the temp volume now. `complete`: the
    store has every segment."""

    released: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class AppendBegun:
    """A request may append. `takes`: the upload takes bytes, or will once it is admitted; `run` grows with each append;
    `waits`: how many appends in a row were refused because there was no room; `number`: the first segment that is
    missing, None where all have arrived."""

    status: Status
    takes: bool
    run: int
    waits: int
    number: int | None = None
    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class AppendTaken:
    """A request may not append yet: another one does and is signalled to end. `superseded`: nor will it, since a newer
    request has asked."""

    superseded: bool


@dataclass(frozen=True, slots=True)
class LengthVerdict:
    """The board's response to the length of a file. `size_bytes`: the length that the upload has, once it is known;
    `jobs`: to enqueue. Nothing has changed if the upload takes no segments (`status`), if another request appends now
    (`superseded`), or if more bytes have arrived (`short`)."""

    status: Status | None = None
    size_bytes: int | None = None
    jobs: Sequence[StageJob] = ()
    superseded: bool = False
    short: bool = False


class UploadReader(Protocol):
    """Records of uploads. Errors: DependencyUnavailable; RequestError UPLOAD_NOT_FOUND."""

    async def get(self, upload_id: str) -> Upload: ...

    async def get_with_segment(self, upload_id: str, number: int) -> tuple[Upload, int | None]:
        """An upload, and the crc32c of its segment `number` if that has arrived, in one round trip."""

    async def owner(self, upload_id: str) -> str | None:
        """The owner of an upload; None: it has no record."""

    async def permit_id(self, upload_id: str) -> str | None:
        """The id of the permit that an upload was created with, "" if there was none; None: it has no record."""

    async def known(self, upload_ids: Sequence[str]) -> Collection[str]:
        """The ids that have a record."""

    async def cleaned(self, upload_ids: Sequence[str]) -> Collection[str]:
        """The ids whose record says that the upload has ended and is cleaned up."""

    async def snapshot(self, upload_id: str) -> UploadSnapshot:
        """An upload with its standing and its received segments, in one round trip."""

    async def page(
        self, status: Status | None, before: tuple[int, str] | None, limit: int, *, owner: str | None = None
    ) -> Sequence[UploadSnapshot]:
        """Up to `limit` uploads of this owner, or of all, newest first, created before (created_at_ms, id). One round
        trip."""

    async def search(
        self,
        text: str,
        status: Status | None,
        before: tuple[int, str] | None,
        limit: int,
        examine: int,
        *,
        owner: str | None = None,
    ) -> FoundUploads:
        """As `page`, of those whose id begins with `text` or whose file name contains it, whatever the case of ASCII
        letters. It examines about `examine` uploads, in short steps."""

    async def ids(self, status: Status, older_than_ms: int, limit: int) -> Sequence[str]:
        """Uploads that have been in `status` for at least `older_than_ms`, oldest first."""

    async def server_run(self) -> str:
        """Identifies this run of the Redis server. It changes with a restart or a failover, which may have lost the
        latest writes."""


class SegmentReader(Protocol):
    """Which segments have arrived and which are stored. Errors as UploadReader."""

    async def received(self, upload_id: str, numbers: Collection[int] | None = None) -> Mapping[int, int]:
        """Segment number -> crc32c, of all received segments or of those in `numbers`."""

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        """Up to `limit` segments that wait for transfer, lowest numbers first. Raises StageLost."""

    async def stored(self, upload: Upload) -> Sequence[StoredSegment]:
        """Every stored segment, in order of number."""

    async def released(self, upload_id: str) -> Collection[int]:
        """Segments whose bytes have left, or are about to leave, the temp volume: they are in the store only."""

    async def to_release(self, volume: str, limit: int) -> Sequence[str]:
        """Uploads on this temp volume that may have something to release now."""


class AppendReader(Protocol):
    """Who appends to an upload. Errors: DependencyUnavailable."""

    async def appender(self, upload_id: str) -> str | None:
        """The request that has asked last to append."""


class JournalReader(Protocol):
    """The journals of a temp volume. One begins when its upload is admitted or, if no byte of it comes to the volume,
    registered, and is kept until the upload is cleaned up. Errors: TempVolumeError."""

    async def read(self, upload_id: str) -> Journal | None:
        """An upload's journal; None if there is none, or if it does not say which upload it belongs to."""

    async def ids(self) -> Sequence[str]:
        """Every upload that has a journal, in order of creation."""

    async def ended(self, idle_seconds: float) -> Sequence[str]:
        """Uploads whose journals record an end and have not changed for `idle_seconds`."""


class EndedList(Protocol):
    """Uploads of a temp volume that have ended and are not cleaned up yet. Errors: DependencyUnavailable."""

    async def due(self, volume: str, limit: int) -> Sequence[str]: ...

    async def defer(self, volume: str, upload_id: str, seconds: float) -> None:
        """Make the upload due again after `seconds`."""

    async def defer_until(self, volume: str, upload_id: str, moment_ms: int) -> bool:
        """Make the upload due again at `moment_ms`; False if that moment has passed."""

    async def drop(self, volume: str, upload_id: str) -> None:
        """Remove an upload that no longer has a record. Idempotent."""

    async def idle(self, upload_id: str) -> Upload | None:
        """The upload; None while one of its stages may still write: it is running under a lease that has not lapsed.
        Raises RequestError UPLOAD_NOT_FOUND."""


class EventFeed(Protocol):
    """Signals that an upload has changed. Signals may be lost: the record is the truth."""

    def watch(
        self, upload_id: str, kinds: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Yields at least once after a change; a burst of changes may yield once. `kinds`: only after changes of these
        kinds: `status` and `wanted`, as in `schemas.status.EventFields`, and `append`. A change of another kind that
        comes with one of these is not signalled by itself."""
