"""The values that services and ports exchange. Frozen; sizes in bytes, times in milliseconds of Redis' clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.core.access import DEFAULT_OWNER, Permit
from pipeline.core.errors import KEEPS_STORED
from pipeline.core.lifecycle import Status
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import COMPARES_MD5, ObjectVersion, Place, StoredObject
from pipeline.core.transports import Transport


@dataclass(frozen=True, slots=True)
class ClientDigest:
    """A digest that the client sent: `algorithm` is "md5", "sha-256" or "crc32c", `value` the raw bytes."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A partial upload as a part of a final one: its file was cut into segments of `segment_bytes`."""

    upload_id: str
    size_bytes: int
    segment_bytes: int


def plan_of(size_bytes: int, segment_bytes: int, parts: Sequence[Part]) -> SegmentPlan:
    """The plan of an upload; of a final one, its segments are those of its parts, in order."""
    if parts:
        return SegmentPlan.joined(SegmentPlan(part.size_bytes, part.segment_bytes) for part in parts)
    return SegmentPlan(size_bytes, segment_bytes)


class Deferred(StrEnum):
    """What of an upload is not known when it is created. Of a direct upload, until its client has sent every segment:
    `plan`, how long its segments are; `size`, that, and how large the file is. Of an upload through the gateway, until
    its client says so: `length`, how large the file is. `size_bytes` of an upload is then what is known so far, at
    least."""

    PLAN = "plan"
    SIZE = "size"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of one upload, as the board holds it. `fencing_token` belongs to its latest run; `outages` counts the
    attempts that failed because a dependency was unavailable."""

    state: StageState
    attempt: int = 0
    fencing_token: int = 0
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    worker: str | None = None
    error_code: str | None = None
    outages: int = 0
    waits_for: str | None = None
    """Of an `idle` reading stage: `segments`, `received` or `sealed` (see `core.reading`)."""
    since_ms: int | None = None
    """Since when it is in `state`."""
    queued_at_ms: int | None = None
    """When its latest run was due, or is: in the future while it pauses after a failed attempt."""
    failures: int = 0
    takeovers: int = 0
    outage_since_ms: int | None = None
    outage_dependency: str | None = None
    """Of consecutive failures that an unavailable dependency causes: since when, and which."""

    @property
    def own_attempt(self) -> int:
        """`attempt` without the attempts that failed because a dependency was unavailable."""
        return self.attempt - self.outages


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as the board holds it.

    `target_session`: what the store returned from `begin` (S3's UploadId; empty if the store needs none). `source`: the
    object that is imported. `granted_at_ms`: when the client of a direct upload last received presigned URLs or a
    token; `grants_until_ms`: when the last of them expires. `recovered_at_ms`: when the record was recreated from the
    journal; what its stages did before that is unknown. `window_bytes`: how much of the file the temp volume may hold
    at once; None: all of it. `bytes_released`: bytes of stored segments that have left the temp volume; None: none has
    left it so far. `tail_bytes`: how much of the next segment has arrived (`core.tail`). `scope`: the scopes of its
    creator; `permit`: the one that it was created with. `idempotency_key`, `fingerprint`: as in `NewUpload`; the
    journal gets them when it begins. `deferred`: as in `NewUpload`, until it is known; `granted_segments`:
    the highest number for which its client has had a grant. `most_bytes`, `parts`, `concat`: as in `NewUpload`;
    `joined_to`: the final upload to which the segments of a partial upload belong.
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
    tail_bytes: int = 0
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
    window_bytes: int | None = None
    bytes_released: int | None = None
    owner: str = DEFAULT_OWNER
    scope: str = ""
    permit: Permit | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    deferred: Deferred | None = None
    granted_segments: int = 0
    most_bytes: int = 0
    parts: tuple[Part, ...] = ()
    concat: str = ""
    joined_to: str | None = None
    traceparent: str | None = None
    """Of the span that created it (W3C Trace Context), while traces are on."""
    wrong_digests: tuple[int, ...] = ()
    """Segments whose bytes did not have the MD5 that their client had announced, the latest 100."""
    stages: Mapping[Stage, StageStatus] = field(default_factory=dict)
    reached_ms: Mapping[Status, int] = field(default_factory=dict)
    """When it first reached a status in flight: not its first one, and not one before a recovery."""

    @property
    def plan(self) -> SegmentPlan:
        """While the length is deferred: that of the largest file that it may be. While the plan is: one of every
        segment that may be in the store and one more. So it has never only one segment, which would be the object
        itself; lengths in it mean nothing."""
        if self.deferred is Deferred.LENGTH:
            return SegmentPlan(self.most_bytes, self.segment_bytes)
        if self.deferred is not None:
            return SegmentPlan((max(1, self.granted_segments) + 1) * self.segment_bytes, self.segment_bytes)
        return plan_of(self.size_bytes, self.segment_bytes, self.parts)

    @property
    def places(self) -> Sequence[Place]:
        """Of a final upload: where each of its segments is stored, in order. Empty: under its own id."""
        return [
            Place(part.upload_id, number)
            for part, run in zip(self.parts, self.plan.runs, strict=True)
            for number in range(1, run.count + 1)
        ]

    @property
    def queued_jobs(self) -> list[StageJob]:
        """The jobs of its queued stages. Enqueueing a job again is harmless."""
        return [
            StageJob(self.upload_id, stage, status.fencing_token, self.volume)
            for stage, status in self.stages.items()
            if status.state is StageState.QUEUED
        ]

    @property
    def takes_room(self) -> bool:
        """Whether a segment may need room to be taken for it: its upload has a window, or has released segments."""
        return self.window_bytes is not None or self.bytes_released is not None

    @property
    def defers_md5(self) -> bool:
        """Whether the MD5 of a segment may be compared by the store alone. If it is wrong, the client learns of it
        later; from then on it is to know at once, so that its next wrong one costs nothing but a request."""
        return self.store in COMPARES_MD5 and not self.wrong_digests

    @property
    def prefers_md5(self) -> bool:
        """Whether an MD5 of each segment that its client sends spares computing one: S3 compares cheaper digests."""
        return self.store == "swift" and self.transport is Transport.GATEWAY and self.defers_md5

    @property
    def keeps_stored(self) -> bool:
        """Whether what it has in the object store is kept although it ended without becoming a content. Of an import,
        only the thumbnail could be."""
        return self.status is Status.FAILED and self.error_code in KEEPS_STORED and self.source is None


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is needed to register an upload. `fingerprint` identifies the request, so that a repeated Idempotency-Key
    can be compared. `again`: a key whose upload has ended may be used for a new upload. `deferred`: what is known only
    later; `segment_bytes` of a deferred plan is the shortest length of a segment. `most_bytes`: of a deferred length,
    the largest file that it may be. `parts`: of a final upload, the partial uploads that it consists of; `concat`: the
    Upload-Concat of its creation, as its client sent it. `traceparent`: as in `Upload`."""

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
    window_bytes: int | None = None
    owner: str = DEFAULT_OWNER
    scope: str = ""
    permit: Permit | None = None
    deferred: Deferred | None = None
    most_bytes: int = 0
    parts: tuple[Part, ...] = ()
    concat: str = ""
    traceparent: str | None = None

    @property
    def plan(self) -> SegmentPlan:
        """Of an upload whose plan is not deferred; of a deferred length, as `Upload.plan`."""
        length = self.most_bytes if self.deferred is Deferred.LENGTH else self.size_bytes
        return plan_of(length, self.segment_bytes, self.parts)

    @classmethod
    def of(cls, upload: Upload) -> NewUpload:
        """What `upload` was registered as."""
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
            idempotency_key=upload.idempotency_key,
            fingerprint=upload.fingerprint,
            transport=upload.transport,
            source=upload.source,
            window_bytes=upload.window_bytes,
            owner=upload.owner,
            scope=upload.scope,
            permit=upload.permit,
            deferred=upload.deferred,
            most_bytes=upload.most_bytes,
            parts=upload.parts,
            concat=upload.concat,
            traceparent=upload.traceparent,
        )


@dataclass(frozen=True, slots=True)
class StageJob:
    """One run of one stage, as it is queued. Only the run with the latest `fencing_token` may write."""

    upload_id: str
    stage: Stage
    fencing_token: int
    volume: str

    @property
    def job_id(self) -> str:
        return f"{self.upload_id}:{self.stage}:{self.fencing_token}"


@dataclass(frozen=True, slots=True)
class ContentRecord:
    """A content as the persist stage writes it, in one transaction. `media` is a `schemas.media.MediaMetadata` as
    JSON-serialisable data; `metadata` is what the client sent. `volume`: the temp volume whose Redis holds the upload,
    if there was one; `traceparent`: of the request that created the upload."""

    content_id: str
    filename: str
    content_type: str
    stored: StoredObject
    thumbnail: StoredObject | None
    media: Mapping[str, Any]
    metadata: Mapping[str, str]
    owner: str = DEFAULT_OWNER
    volume: str | None = None
    traceparent: str | None = None
