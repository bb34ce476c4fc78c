"""Redis for dashboards: the keys, the fields and the event stream that redis-cli and Grafana may read. Version 1.

Guarantee: every key and field listed here keeps its name, type and meaning while keys begin with `<namespace>:v1:`;
fields may be added. Everything else (segment digests, leases, the contents of queues) may change with any release. A
test compares this page with what a running system has written.

Every value in Redis is a string: counts and sizes are decimal integers, sizes in bytes, times (`..._at_ms`) in
milliseconds since 1970 by Redis' clock. An optional field is absent, never empty. A stage without fields is `pending`,
or `skipped` if the upload has no use for it: the upload was created before a release added the stage.

| key | type | content |
|---|---|---|
| `<ns>:v1:upload:<id>` | hash | one upload: `UploadFields`, and for each stage `stage.<name>.<field>`: `StageFields` |
| `<ns>:v1:uploads` | sorted set | ids of all uploads, scored by creation |
| `<ns>:v1:owned:<owner>` | sorted set | ids of this owner's uploads, scored by creation |
| `<ns>:v1:owner:<owner>` | hash | the counters of this owner, absent while all are 0: `OwnerFields` |
| `<ns>:v1:owner-day:<day>:<owner>` | string | bytes that count of this day (UTC, days since 1970): see below |
| `<ns>:v1:status:<status>` | sorted set | its uploads, scored by when they reached it (`granted`: the latest grant) |
| `<ns>:v1:volumes` | set | names of the temp volumes |
| `<ns>:v1:volume:<name>` | hash | the counters of one temp volume: `VolumeFields` |
| `<ns>:v1:volume:<name>:reservations` | hash | upload id -> reserved bytes |
| `<ns>:v1:volume:<name>:queue` | sorted set | ids of uploads that wait for room, in the order of their requests |
| `<ns>:v1:volume:<name>:ended` | sorted set | ids of ended uploads that are not cleaned up yet |
| `<ns>:v1:volume:<name>:samples` | sorted set | its last hour, scored by time: `VolumeSampleFields`, JSON |
| `<ns>:v1:volume:<name>:unconfined` | sorted set | workers with an incomplete sandbox, scored by their last heartbeat |
| `<ns>:v1:volume:<name>:news` | stream | facts of which no notify worker has notified webhooks yet |
| `<ns>:v1:worker:<host:pid>` | hash | a worker process; expires 15 s after its last heartbeat: `WorkerFields` |
| `<ns>:v1:workers` | sorted set | names of worker processes, `host:pid`, scored by their last heartbeat |
| `<ns>:v1:stages` | hash | what runs of stages have done since Redis has data, `<stage>.<counter>`: `StageCounters` |
| `<ns>:v1:stages:samples` | sorted set | `stages` over the last hour, scored by time: JSON, with `at_ms` |
| `<ns>:v1:switches` | string | with Sentinel: how often a process has found that another server is the primary |
| `<ns>:v1:events` | stream | about the last 10,000 changes: `EventFields` |

Admission workers add a sample every ten seconds; however many there are, one.

Of the files that an owner creates on a day, the whole size counts; of those that end without becoming `ready`, what was
received, unless the client could send to the store itself. The key is kept until the end of the next day.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CONTRACT_VERSION = "v1"

UploadStatus = Literal[
    "granted",
    "waiting",
    "admitted",
    "receiving",
    "processing",
    "held",
    "ready",
    "joined",
    "failed",
    "expired",
    "cancelled",
]
StageName = Literal["transfer", "seal", "assemble", "probe", "thumbnail", "persist"]
StageStateName = Literal["pending", "queued", "running", "idle", "done", "skipped", "failed", "stopped"]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UploadFields(_Fields):
    """The fields of an upload's hash, except those of its stages."""

    id: str
    filename: str
    size_bytes: int
    content_type: str
    segment_bytes: int = Field(description="Length of every segment except the last")
    segment_count: int
    deferred: Literal["plan", "size", "length"] | None = Field(
        None,
        description="Of a direct upload until it is complete: its client decides how long segments are (`plan`), and "
        "how large the file is (`size`). Of one through the gateway: how large the file is (`length`), until its "
        "client says so. `size_bytes` is then what is known so far, and `segment_count` the highest number that is "
        "possible (`length`) or that was granted",
    )
    most_bytes: int | None = Field(None, description="While `deferred` is `length`: the largest file that it may be")
    volume: str = Field(description="The temp volume that holds its bytes")
    store: str = Field(description="The object store that receives its segments")
    transport: Literal["gateway", "import", "direct", "token", "partial", "final"] = Field(
        "gateway",
        description="How its bytes arrive; `partial`: a part of a file; `final`: a file of such parts",
    )
    parts: str | None = Field(
        None, description="JSON list: the partial uploads that a final one consists of, with size_bytes, segment_bytes"
    )
    concat: str | None = Field(None, description="Upload-Concat of a final upload, as it was sent")
    joined_to: str | None = Field(None, description="The final upload to which the segments of a partial one belong")
    source_container: str | None = Field(None, description="The container or bucket of an imported object")
    source_key: str | None = Field(None, description="The name of an imported object")
    source_etag: str | None = Field(None, description="The version of an imported object")
    granted_at_ms: int | None = Field(None, description="When the client of a direct upload last received grants")
    grants_until_ms: int | None = Field(None, description="Until when the client may write to the store with them")
    owner: str = Field("default", description="The owner: the name to which it belongs")
    scope: str = Field("", description="The scopes of its creator's key or token, separated by spaces")
    permit: str | None = Field(None, description="JSON object: the permit that it was created with, and its limits")
    idempotency_key: str | None = Field(
        None, description="The Idempotency-Key of its creation, prefixed with the owner or the permit"
    )
    fingerprint: str = Field("", description="Digest of the request that created it")
    metadata: str = Field(description="JSON object: the client's own metadata")
    digest: str | None = Field(None, description="`algorithm:base64` of the whole file, if the client announced one")
    status: UploadStatus
    status_since_ms: int
    created_at_ms: int
    updated_at_ms: int
    admitted_at_ms: int | None = Field(None, description="When it was first admitted")
    receiving_at_ms: int | None = Field(None, description="When its first segment had arrived, of more than one")
    processing_at_ms: int | None = Field(None, description="When every byte had first arrived, unless it began so")
    held_at_ms: int | None = Field(None, description="When the store had every byte of a partial upload")
    bytes_received: int = Field(description="Bytes of the segments that have arrived")
    tail_bytes: int | None = Field(
        None, description="Bytes of the next segment that have arrived, if its client appends bytes instead of segments"
    )
    bytes_stored: int
    segments_received: int
    segments_stored: int
    error_code: str | None = Field(None, description="Why it did not become `ready`: a code of the error catalogue")
    error_message: str | None = None
    wrong_digests: str | None = Field(
        None,
        description="Numbers of segments that had to be sent again because their bytes did not have the MD5 that the "
        "client had announced, separated by commas; the latest 100",
    )
    window_bytes: int | None = Field(None, description="How much of a large file the temp volume holds at once")
    content_id: str | None = Field(None, description="Set once it is `ready`")
    released_at_ms: int | None = Field(None, description="When its temp file and its reservation were released")
    traceparent: str | None = Field(
        None, description="The span of its creation (W3C Trace Context), if it was created while traces were on"
    )
    target_session: str | None = Field(None, description="The store's own session (S3: UploadId), empty for Swift")


class OwnerFields(_Fields):
    """The counters of an owner. They change in the same step as the status of its uploads."""

    waiting: int | None = Field(None, description="Uploads that wait for room")
    in_flight: int | None = Field(None, description="Uploads that are granted, admitted, receiving, processing or held")
    bytes: int | None = Field(None, description="Bytes of the files of both kinds of uploads")


class StageFields(_Fields):
    """The fields `stage.<name>.<field>` of an upload's hash."""

    state: StageStateName
    since_ms: int | None = Field(None, description="Since when it has this state; absent while `pending`")
    waits_for: str | None = Field(
        None,
        description="Of an `idle` stage that reads the file: `segments` that it has requested, the last segment "
        "(`received`) or the manifest (`sealed`)",
    )
    requests: int | None = Field(None, description="How often it has requested segments")
    generation: int | None = Field(None, description="Fencing token of its latest run; it only grows")
    attempt: int | None = Field(None, description="Number of the latest attempt, from 1")
    failures: int | None = Field(None, description="Attempts that ended in an error")
    outages: int | None = Field(None, description="How many of those an unavailable dependency caused")
    away_since_ms: int | None = Field(
        None,
        description="First of the consecutive failures of that kind; removed by success, progress or another failure",
    )
    away_failures: int | None = Field(None, description="How many consecutive failures those are")
    away_dependency: str | None = Field(
        None, description="What caused them: store, database, redis, disk or worker (its tools, its memory or a bug)"
    )
    takeovers: int | None = Field(None, description="Runs that were taken over because their lease lapsed")
    queued_at_ms: int | None = None
    started_at_ms: int | None = Field(None, description="Start of the first run")
    finished_at_ms: int | None = None
    worker: str | None = Field(None, description="`host:pid` of the latest run")
    error_code: str | None = Field(None, description="Of the latest failed attempt; removed when a later one succeeds")


class VolumeFields(_Fields):
    """The counters of a temp volume. The number of waiting uploads is the length of `:queue`."""

    opened_at_ms: int | None = Field(
        None, description="Since when Redis knows this volume; absent after Redis has lost it"
    )
    ran_at_ms: int | None = Field(None, description="When admission last ran; while it does not run, no lease lapses")
    budget_bytes: int = Field(description="Bytes that all uploads together may reserve")
    reserved_bytes: int | None = Field(None, description="Bytes that are reserved now, whole files and windows")
    backed_bytes: int | None = Field(None, description="Reserved bytes that are preallocated on the disk")
    free_bytes: int = Field(description="Free bytes of the disk at the last measurement")
    usable_bytes: int | None = Field(
        None,
        description="What all reservations together could hold on the disk at the last measurement, less what was "
        "given back since",
    )
    measured_at_ms: int
    epoch: int | None = Field(
        None, description="Count of changes of `backed_bytes` that make older readings of the disk unusable"
    )
    tickets: int | None = Field(None, description="Count of uploads that have ever requested room")
    virtual: int | None = Field(None, description="Virtual time of the queue, in half blocks of requested bytes")
    queue_end: int | None = Field(None, description="Where the queue of an owner without waiting uploads begins")
    owners_as_of: str | None = Field(
        None,
        description="The counters with which the keys of its owners agree: tickets, epoch, reserved and backed bytes",
    )
    draining: Literal["all", "new"] | None = Field(
        None,
        description="While the volume is drained (`sluice drain`), new uploads are refused. `all`: nothing is "
        "admitted; `new`: uploads that wait already are",
    )
    draining_since_ms: int | None = Field(None, description="Since when it is drained")
    followed_run: str | None = Field(
        None,
        description="The run of the Redis server (`run_id`) whose records have been compared with the journals, and "
        "after a full stop the value of `switches`, if there is one",
    )


class VolumeSampleFields(_Fields):
    """A sample of the counters of a temp volume; its values are strings too."""

    at_ms: int
    budget_bytes: int
    reserved_bytes: int
    backed_bytes: int
    free_bytes: int
    waiting: int = Field(description="Uploads that waited for room")
    reservations: int = Field(description="Uploads that held room")


class StageCounters(_Fields):
    """The fields `<stage>.<counter>` of the hash of counters, absent while 0."""

    started: int | None = Field(None, description="Runs that have started")
    waited_ms: int | None = Field(None, description="For how long those had been due before they started, in all")
    done: int | None = Field(None, description="Runs that have done their work, or that of a later stage")
    retried: int | None = Field(None, description="Failed attempts after which the stage is tried again")
    failed: int | None = Field(None, description="Failed attempts after which it is not")
    taken_over: int | None = Field(None, description="Runs that were taken over because their lease lapsed")


class WorkerFields(_Fields):
    """A worker process."""

    types: str = Field(description="Worker types, separated by commas")
    volume: str
    metrics_url: str = Field(description="Base URL of its /metrics and /healthz")
    confinement: Literal["complete", "incomplete"] | None = Field(
        None,
        description="Whether the sandbox of its media reader does all that it should; absent if it reads no files",
    )


class EventFields(_Fields):
    """One entry of the event stream; its id is the time by Redis' clock."""

    upload_id: str
    kind: Literal["status", "stage", "segment", "wanted"]
    name: str = Field(description="status: `status`; stage: the stage's name; segment and wanted: a segment's number")
    value: str = Field(
        description="status: the new status; stage: the new state; segment: `lost`; wanted: the stage that requests it"
    )
    error_code: str = Field(description="Empty unless there was an error")
