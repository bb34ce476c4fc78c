"""Object stores: where objects are kept, and how clients may reach them directly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import (
    DelegatedToken,
    ObjectTarget,
    SegmentLink,
    SegmentRequest,
    SegmentSpan,
    StoredObject,
    StoredSegment,
)


class Hash(Protocol):
    """A running digest, as those of `hashlib`."""

    def update(self, data: bytes, /) -> None: ...


class SegmentSource(Protocol):
    """The bytes of one segment on the temp volume. A store may read them several times; one pass is enough for most.

    `chunks` yields blocks of at most 1 MiB in order, updates each of `hashes` with a block before it yields it, and
    checks the blocks against the digest taken at receipt. It raises SegmentCorrupt before it yields the last block, so
    that no store ever receives a wrong segment completely, and TempVolumeError when the file is gone.

    `crc32c`: of the bytes that a complete pass yields; None: it is not known before. `md5_hex`: what the segment's
    client has announced, in hexadecimal, and nobody has compared with the bytes yet; "": nothing.
    """

    @property
    def number(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def crc32c(self) -> int | None: ...

    @property
    def md5_hex(self) -> str: ...

    def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]: ...


class ObjectStore(Protocol):
    """A store of large objects made of segments. Errors: StoreUnavailable (may succeed later), StoreError (permanent),
    SegmentCorrupt.

    Nothing is visible under `target.key` before `seal`, except for an upload of one segment, which is a plain object.
    """

    @property
    def name(self) -> str: ...

    async def limits(self) -> StoreLimits:
        """The limits that the store publishes; the presets until it has published any. Never raises. Waits at most a
        few seconds for an unavailable store."""

    async def begin(self, target: ObjectTarget) -> str:
        """Open a transfer and return its session (S3's UploadId; "" where the store needs none). Not idempotent: pass a
        session that is not recorded in the end to `abort`."""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """Stream one segment into the store and verify what the store says it received. Idempotent. Raises
        DigestRefused when that is not what was sent, or does not have the MD5 of `source`; SegmentCorrupt when the
        bytes on the temp volume are not those that arrived, STORE_SESSION_LOST when the store no longer knows
        `target.session`, StoreUnavailable, StoreError."""

    async def seal(
        self, target: ObjectTarget, segments: Sequence[StoredSegment], *, acknowledged: bool = False
    ) -> StoredObject:
        """Write the manifest over all segments, in order. Idempotent. Raises MANIFEST_REFUSED when a segment is missing
        or changed; `segments` in its detail are the numbers to put again, as far as the store reports them.

        Of a target with `parts`, the segments are those of partial uploads. A store without the ability `SegmentReads`
        copies them, and has removed them when this returns.

        `acknowledged`: this service has stored the segments itself, a moment ago, and compared their digests. A file of
        one segment, which is its object, need not be looked at again then."""

    async def abort(self, target: ObjectTarget) -> None:
        """Remove everything of an upload: session, segments, manifest or object. Idempotent; succeeds when nothing
        exists."""

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Store a small object whole. Idempotent."""


class ObjectSource(Protocol):
    """Reads the objects of one container, created by this service or not."""

    def read(
        self, key: str, first: int = 0, last: int | None = None, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """Yield bytes `first` to `last` (inclusive; None, or beyond the end: to the end), in blocks of at most 1 MiB.
        `etag`: of the version to read, as `head` returns it. Raises StoreError STORE_OBJECT_MISSING, OBJECT_CHANGED
        before the first byte of another version, STORE_REJECTED when `first` is beyond the end; StoreUnavailable."""

    async def head(self, key: str) -> StoredObject:
        """Size, etag and content type of an object, without its segments. Raises StoreError STORE_OBJECT_MISSING,
        StoreUnavailable."""

    def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """Every name that begins with `prefix`, to find orphaned objects: objects by their keys, then segments stored
        apart as `segment:UPLOAD/NUMBER` (more may follow; on S3 they are objects), open multipart uploads as
        `multipart:KEY:SESSION`."""


class ObjectReader(ObjectSource, Protocol):
    """Reads and removes whole objects."""

    async def delete(self, key: str) -> None:
        """Remove an object with its manifest and segments, or what else `list_keys` lists under this name. Idempotent;
        succeeds when nothing exists."""

    async def check(self) -> str:
        """Make sure that the store responds and has its container, created where it is missing. Stores nothing. Returns
        which store and container it is, for `sluice doctor`. Raises StoreError."""


class Store(ObjectStore, ObjectReader, Protocol):
    """What every store implements."""

    @property
    def container(self) -> str:
        """The container or bucket of its own objects."""

    def within(self, container: str) -> ObjectSource:
        """Another container or bucket of this store, with the same rights. Raises StoreError STORE_REJECTED when the
        name is not possible."""


@runtime_checkable
class PresignedDownloads(Protocol):
    """Optional ability: URLs with which a client reads from the store for a limited time. Anyone who has such a URL may
    use it, for GET (with Swift also for HEAD). Errors: as ObjectStore."""

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, content_type: str, inline: bool
    ) -> str | None:
        """A URL of the object, which consists of `segment_count` segments; its response has a Content-Disposition with
        `filename`, and `content_type` unless the store has the ability `ContentTypes`. None when the store's
        configuration does not offer it."""

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> SegmentLink | None:
        """A GET of one segment's bytes only (the status is 200 or 206). Its URL may be one of the whole object: then
        its headers have a Range. None as above."""


@runtime_checkable
class PresignedUploads(Protocol):
    """Optional ability: requests with which a client sends segments to the store. Errors: as ObjectStore."""

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """A PUT for each of these segments, valid for `seconds`; it allows nothing else. None when the store's
        configuration does not offer it."""

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """What the store holds of an upload that is not sealed, in order of number, of any size. Raises
        STORE_SESSION_LOST."""

    async def make_whole(self, target: ObjectTarget, segment: StoredSegment) -> StoredSegment:
        """Make the only segment of a file, which was stored as one of several, the object itself. `target` is that of
        the whole file. Idempotent until the caller has recorded the result; afterwards the segment does not exist.
        Raises STORE_OBJECT_MISSING or MANIFEST_REFUSED if the store no longer holds it."""


@runtime_checkable
class DelegatedTokens(PresignedUploads, Protocol):
    """Optional ability, for stores where TempURLs are not allowed: the client gets a token. Errors: as ObjectStore."""

    async def delegate_token(self, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken | None:
        """A new token, with the request that it is meant for for each of these segments. None when the store's
        configuration does not offer it."""


@runtime_checkable
class SegmentReads(Protocol):
    """Optional ability, where a segment can be read before the manifest is written (Swift, the filesystem; not S3).
    Errors: as ObjectStore."""

    def read_segment(
        self, target: ObjectTarget, number: int, first: int, last: int, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """Bytes `first` to `last`, inclusive, of a stored segment, in blocks of at most 1 MiB. `etag`: that of the
        segment when it was stored. Raises StoreError STORE_OBJECT_MISSING, and OBJECT_CHANGED before the first byte of
        other bytes."""


@runtime_checkable
class ContentTypes(Protocol):
    """Optional ability, where the type in a download's response can be that of the object only, and can be changed
    later. Errors: as ObjectStore."""

    async def set_content_type(self, key: str, content_type: str) -> None:
        """Change an object's type, and nothing else. Idempotent. Raises StoreError STORE_OBJECT_MISSING."""


@runtime_checkable
class TransferSessions(Protocol):
    """Optional ability, where a begun transfer is an object in the store (S3's multipart uploads). Errors: as
    ObjectStore."""

    def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
        """(key, session) of every transfer that was neither sealed nor aborted."""

    async def end_session(self, key: str, session: str) -> None:
        """Remove a session and its segments, and nothing else. Idempotent; succeeds when it does not exist."""


@runtime_checkable
class Drafts(Protocol):
    """Optional ability, where unfinished writes leave files behind. Errors: as ObjectStore."""

    async def remove_drafts(self, idle_seconds: float) -> int:
        """Remove drafts that nothing has written to for `idle_seconds`; returns how many. Idempotent."""


class Stores(Protocol):
    """The configured stores, by the names that uploads and contents record."""

    def every(self) -> Sequence[Store]: ...

    def named(self, name: str) -> Store:
        """Raises StoreError STORE_REJECTED when no store of this name is configured."""
