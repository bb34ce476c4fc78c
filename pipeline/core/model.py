"""The values that stages and ports hand to each other. Frozen; sizes in bytes, times in milliseconds of Redis'
clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.lifecycle import Status
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage, StageState
from pipeline.core.transports import Transport


@dataclass(frozen=True, slots=True)
class ClientDigest:
    """A digest that the client announced: `algorithm` is "md5", "sha-256" or "crc32c", `value` the raw bytes."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of one upload, as the board holds it. `fencing_token` is that of its latest
    run; `outages` are the failed attempts that were a dependency's fault."""

    state: StageState
    attempt: int = 0
    fencing_token: int = 0
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    worker: str | None = None
    error_code: str | None = None
    outages: int = 0

    @property
    def own_attempt(self) -> int:
        """`attempt` without those that failed because a dependency was away."""
        return self.attempt - self.outages


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object of the upload's store that is not ours: what an import takes its bytes from. It is only ever read."""

    container: str
    key: str
    etag: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as the board holds it.

    `target_session` is what the store returned from `begin` (S3's UploadId; empty where a store needs none). `source`:
    the object that is imported. `granted_at_ms`: when a direct upload's client last got grants; `grants_until_ms`:
    until when it may still write with one of them. `recovered_at_ms`: when its record was made anew from its journal;
    what its stages did before is not known.
    """

    upload_id: str
    filename: str
    size_bytes: int
    segment_bytes: int
    content_type: str
    volume: str
    store: str
    status: Status
    status_since_ms: int
    created_at_ms: int
    updated_at_ms: int
    digest: ClientDigest | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    bytes_received: int = 0
    bytes_stored: int = 0
    segments_received: int = 0
    segments_stored: int = 0
    target_session: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    content_id: str | None = None
    released_at_ms: int | None = None
    transport: Transport = Transport.GATEWAY
    source: ObjectVersion | None = None
    granted_at_ms: int | None = None
    grants_until_ms: int | None = None
    recovered_at_ms: int | None = None
    stages: Mapping[Stage, StageStatus] = field(default_factory=dict)

    @property
    def plan(self) -> SegmentPlan:
        return SegmentPlan(self.size_bytes, self.segment_bytes)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is needed to register an upload. `fingerprint` tells whether a repeated Idempotency-Key is the same
    request; with `again`, a key whose upload has ended is free."""

    upload_id: str
    filename: str
    size_bytes: int
    segment_bytes: int
    content_type: str
    volume: str
    store: str
    digest: ClientDigest | None
    metadata: Mapping[str, str]
    idempotency_key: str | None
    fingerprint: str
    transport: Transport = Transport.GATEWAY
    source: ObjectVersion | None = None
    again: bool = False

    @classmethod
    def of(cls, upload: Upload) -> NewUpload:
        """What `upload` was registered as, but for its Idempotency-Key."""
        return cls(
            upload_id=upload.upload_id,
            filename=upload.filename,
            size_bytes=upload.size_bytes,
            segment_bytes=upload.segment_bytes,
            content_type=upload.content_type,
            volume=upload.volume,
            store=upload.store,
            digest=upload.digest,
            metadata=upload.metadata,
            idempotency_key=None,
            fingerprint="",
            transport=upload.transport,
            source=upload.source,
        )


@dataclass(frozen=True, slots=True)
class StageJob:
    """One run of one stage: what travels through the queue. Only the run with the latest
    `fencing_token` may write."""

    upload_id: str
    stage: Stage
    fencing_token: int
    volume: str

    @property
    def job_id(self) -> str:
        return f"{self.upload_id}:{self.stage}:{self.fencing_token}"


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """Where an upload's object goes. `key` is the object's name; segments lie apart, under a name derived from
    `upload_id`."""

    upload_id: str
    key: str
    content_type: str
    plan: SegmentPlan
    session: str = ""


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment that the store has acknowledged. `etag` is the store's own digest of it, unquoted."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """Where one of `count` segments of a stored object lies: `first_byte` to `last_byte` of the whole, inclusive."""

    upload_id: str
    number: int
    count: int
    first_byte: int
    last_byte: int


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """The right to send one segment to the store itself: one request, its body the bytes, with these headers."""

    number: int
    size_bytes: int
    url: str
    method: str = "PUT"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DelegatedToken:
    """A token of the store's own kind, and what to send with it. It reaches as far as the role of its user does."""

    token: str = field(repr=False)
    storage_url: str
    seconds: int
    segments: tuple[SegmentRequest, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A whole object in the store. `etag` as the store answers a HEAD, unquoted."""

    store: str
    container: str
    key: str
    size_bytes: int
    etag: str
    segments: tuple[StoredSegment, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentRecord:
    """A content: what persist writes in one transaction. `metadata` is a `schemas.media.MediaMetadata` as JSON-able
    data."""

    content_id: str
    filename: str
    content_type: str
    stored: StoredObject
    thumbnail: StoredObject | None
    media: Mapping[str, Any]
    metadata: Mapping[str, str]


OWN_PREFIX = "contents/"
"""In its own container, whatever begins so was made by Sluice."""


def object_key(upload_id: str) -> str:
    """The object's name. An upload's id becomes its content's id, so a name is never used twice and caches never go
    stale."""
    return f"{OWN_PREFIX}{upload_id}/original"


def owner_of(key: str) -> str | None:
    """The upload whose object, segments or thumbnail lie under `key`; None when it is not one that Sluice has made."""
    prefix, _, rest = key.partition("/")
    upload_id, _, name = rest.partition("/")
    return upload_id if f"{prefix}/" == OWN_PREFIX and upload_id and name else None


def thumbnail_key(upload_id: str) -> str:
    return f"{OWN_PREFIX}{upload_id}/thumbnail.jpg"
