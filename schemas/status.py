"""Redis for dashboards: the keys, fields and the event stream that redis-cli and Grafana may rely on. Version 1.

Guarantee: what stands here keeps its name, type and meaning as long as keys begin with `<namespace>:v1:`; fields may be
added. What does not stand here (segment digests, leases, queues' insides) may change with any release. A test holds
this page against what a running system has written.

Everything is a string in Redis: counts and sizes are decimal integers, sizes in bytes, times in milliseconds since 1970
by Redis' own clock (`..._at_ms`). An optional field is absent, never empty.

| key | type | what |
|---|---|---|
| `<ns>:v1:upload:<id>` | hash | one upload: `UploadFields`, and for each stage `stage.<name>.<field>`: `StageFields` |
| `<ns>:v1:uploads` | sorted set | ids of all uploads, scored by creation |
| `<ns>:v1:status:<status>` | sorted set | its uploads, scored by when they came to it (`granted`: last got grants) |
| `<ns>:v1:volumes` | set | names of the temp volumes |
| `<ns>:v1:volume:<name>` | hash | the books of one temp volume: `VolumeFields` |
| `<ns>:v1:volume:<name>:reservations` | hash | upload id -> reserved bytes |
| `<ns>:v1:volume:<name>:queue` | sorted set | ids of the uploads that wait for room, in order |
| `<ns>:v1:volume:<name>:ended` | sorted set | ids of ended uploads that are not cleaned up yet |
| `<ns>:v1:worker:<host:pid>` | hash | a worker process, gone 15 s after its last heartbeat: `WorkerFields` |
| `<ns>:v1:events` | stream | the last 10,000 or so changes: `EventFields` |
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CONTRACT_VERSION = "v1"

UploadStatus = Literal[
    "granted", "waiting", "admitted", "receiving", "processing", "ready", "failed", "expired", "cancelled"
]
StageName = Literal["transfer", "seal", "assemble", "probe", "thumbnail", "persist"]
StageStateName = Literal["pending", "queued", "running", "idle", "done", "skipped", "failed", "stopped"]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UploadFields(_Fields):
    """The fields of an upload's hash, but for those of its stages."""

    id: str
    filename: str
    size_bytes: int
    content_type: str
    segment_bytes: int = Field(description="Length of every segment but the last")
    segment_count: int
    volume: str = Field(description="The temp volume that holds its bytes")
    store: str = Field(description="The object store that its segments go to")
    transport: Literal["gateway", "import", "direct", "token"] = Field("gateway", description="How its bytes come in")
    source_container: str | None = Field(None, description="Of an import: the container or bucket of the object")
    source_key: str | None = Field(None, description="Of an import: the object's name")
    source_etag: str | None = Field(None, description="Of an import: which version of the object it is")
    granted_at_ms: int | None = Field(None, description="When a direct upload's client last got grants")
    grants_until_ms: int | None = Field(None, description="Until when it may still write to the store with one of them")
    metadata: str = Field(description="JSON object: what the client sent along")
    digest: str | None = Field(None, description="`algorithm:base64` of the whole file, where the client announced one")
    status: UploadStatus
    status_since_ms: int
    created_at_ms: int
    updated_at_ms: int
    bytes_received: int
    bytes_stored: int
    segments_received: int
    segments_stored: int
    error_code: str | None = Field(None, description="Why it ended otherwise than `ready`: a code of the catalogue")
    error_message: str | None = None
    content_id: str | None = Field(None, description="There once it is `ready`")
    released_at_ms: int | None = Field(None, description="When temp file and reservation were given back")
    target_session: str | None = Field(None, description="The store's own session (S3: UploadId), empty for Swift")


class StageFields(_Fields):
    """The fields `stage.<name>.<field>` of an upload's hash."""

    state: StageStateName
    generation: int | None = Field(None, description="Fencing number of its latest run; it only grows")
    attempt: int | None = Field(None, description="Number of the latest attempt, from 1")
    failures: int | None = Field(None, description="Attempts that ended in an error")
    outages: int | None = Field(None, description="How many of those were the fault of a dependency that was away")
    away_since_ms: int | None = Field(None, description="First failure of an unbroken row of those; gone with the row")
    away_failures: int | None = Field(None, description="How many failures that row has")
    takeovers: int | None = Field(None, description="Runs that ended because their worker was not heard of")
    queued_at_ms: int | None = None
    started_at_ms: int | None = Field(None, description="Start of the first run")
    finished_at_ms: int | None = None
    worker: str | None = Field(None, description="`host:pid` of the latest run")
    error_code: str | None = Field(None, description="Of the latest failed attempt; gone when a later one succeeds")


class VolumeFields(_Fields):
    """The books of a temp volume. What is waiting is the length of `:queue`."""

    opened_at_ms: int | None = Field(None, description="Since when Redis knows this volume: missing, it has lost it")
    ran_at_ms: int | None = Field(None, description="When admission last looked; leases stand still while it does not")
    budget_bytes: int = Field(description="What uploads may hold together")
    reserved_bytes: int | None = Field(None, description="What they hold now")
    backed_bytes: int | None = Field(None, description="How much of that lies preallocated on the disk")
    free_bytes: int = Field(description="Free bytes on the disk when it was last measured")
    measured_at_ms: int
    epoch: int | None = Field(None, description="Count of preallocations")
    tickets: int | None = Field(None, description="Count of uploads that ever asked for room")


class WorkerFields(_Fields):
    """A worker process."""

    types: str = Field(description="Worker types, separated by commas")
    volume: str
    metrics_url: str = Field(description="Where its /metrics and /healthz are")


class EventFields(_Fields):
    """One entry of the event stream; its id is the time by Redis' clock."""

    upload_id: str
    kind: Literal["status", "stage", "segment"]
    name: str = Field(description="status: `status`; stage: the stage's name; segment: the segment's number")
    value: str = Field(description="status: the new status; stage: the new state; segment: `lost`")
    error_code: str = Field(description="Empty unless something went wrong")
