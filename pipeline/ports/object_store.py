"""Object stores: what holds the objects, and what lets clients reach them by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from pipeline.core.model import (
    DelegatedToken,
    ObjectTarget,
    SegmentRequest,
    SegmentSpan,
    StoredObject,
    StoredSegment,
)
from pipeline.core.segments import StoreLimits


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
        when the bytes on the temp volume are not those that arrived, STORE_SESSION_LOST when the store has forgotten
        `target.session`, StoreUnavailable, StoreError."""

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> StoredObject:
        """Write the manifest over all segments, in order. Idempotent. Raises MANIFEST_REFUSED when a segment is missing
        or changed; `segments` in its detail are the numbers to put again, as far as the store tells."""

    async def abort(self, target: ObjectTarget) -> None:
        """Remove whatever there is of an upload: session, segments, manifest or object. Idempotent; success when
        nothing is there."""

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Store a small object whole. Idempotent."""


class ObjectSource(Protocol):
    """What reads objects, its own or others'."""

    def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Yield bytes `first` to `last` (inclusive; None, or behind the end: to the end), in blocks of at most 1 MiB.
        Raises StoreError STORE_OBJECT_MISSING, STORE_REJECTED when `first` lies behind the end, StoreUnavailable."""

    async def head(self, key: str) -> StoredObject:
        """Size and etag of an object, without its segments. Raises StoreError STORE_OBJECT_MISSING,
        StoreUnavailable."""

    def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """Every name of the store that begins with `prefix`, to find orphans: objects by their keys, then segments that
        lie apart as `segment:UPLOAD/NUMBER` (more may follow), open multipart uploads as `multipart:KEY:SESSION`."""


class ObjectReader(ObjectSource, Protocol):
    """Beside ObjectStore: what reads and removes whole objects."""

    async def delete(self, key: str) -> None:
        """Remove an object, its manifest and its segments, or whatever else `list_keys` gave this name. Idempotent;
        success when nothing is there."""

    async def check(self) -> str:
        """Make sure that the store answers and may be written to; returns a sentence for `sluice doctor`. Raises
        StoreError."""


class Store(ObjectStore, ObjectReader, Protocol):
    """What every store can do."""

    @property
    def container(self) -> str:
        """The container or bucket that its own objects lie in."""

    def within(self, container: str) -> ObjectSource:
        """Another container or bucket of this store, with the same rights. Raises StoreError STORE_REJECTED where
        there can be none of that name."""


@runtime_checkable
class PresignedDownloads(Protocol):
    """Beside ObjectStore, where a store has it: URLs with which a client reads from the store itself for some time.
    Whoever has such a URL may use it; it is for GET (Swift's also for HEAD). Errors: as ObjectStore."""

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """A URL of the object (of so many segments), answered with a Content-Disposition that carries `filename`.
        None: as it is set up, this store gives none."""

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> str | None:
        """A URL of one segment's bytes, and nothing else (the answer is 200 or 206). None as above."""


@runtime_checkable
class PresignedUploads(Protocol):
    """Beside ObjectStore, where a store has it: rights with which a client sends segments to the store itself. Errors:
    as ObjectStore."""

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """A right to PUT each of these segments, for so long; they can do nothing else. None: as it is set up, this
        store gives none."""

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """What the store really holds of an upload that is not sealed, in order of number, of whatever size. Raises
        STORE_SESSION_LOST."""


@runtime_checkable
class DelegatedTokens(PresignedUploads, Protocol):
    """Where TempURLs are not allowed: a token is lent. Errors: as ObjectStore."""

    async def delegate_token(self, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken | None:
        """A new token, and for each of these segments the request that it is meant for. None: as it is set up, this
        store lends none."""


@runtime_checkable
class TransferSessions(Protocol):
    """Beside ObjectStore, where a transfer that was begun is a thing of its own (S3's multipart uploads). Errors: as
    ObjectStore."""

    def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
        """(key, session) of every transfer that was begun and neither sealed nor aborted."""

    async def end_session(self, key: str, session: str) -> None:
        """Remove it and its segments, and nothing else. Idempotent; success when it is not there."""


@runtime_checkable
class Drafts(Protocol):
    """Beside ObjectStore, where what is being written is a thing of its own. Errors: as ObjectStore."""

    async def remove_drafts(self, idle_seconds: float) -> int:
        """Remove what nobody has written to for so long; returns how many. Idempotent."""


class Stores(Protocol):
    """The stores that are set up here, by the name that uploads and contents remember."""

    def every(self) -> Sequence[Store]: ...

    def named(self, name: str) -> Store:
        """Raises StoreError STORE_REJECTED when there is no such store here."""
