"""The error catalogue: every failure Sluice can report, as one tree and one table.

    SluiceError
    ├── RequestError        the client can mend it (4xx)
    ├── UploadEnded         the upload is over: failed, expired, cancelled or ready
    ├── MediaError          the file itself is not what it should be; retrying cannot help
    ├── StoreError          the object store refused or failed
    │   ├── StoreUnavailable    worth retrying (5xx, 429, timeouts, resets)
    │   └── SegmentCorrupt      bytes differ from their digest; that segment is needed again
    ├── DependencyUnavailable   Redis or PostgreSQL is away; worth retrying
    ├── TempVolumeError     the temp volume is full or broken
    └── StageLost           a worker lost its lease; somebody else has the stage

Guarantee: an error that leaves a port is a `SluiceError` whose `code` stands in `CATALOGUE`. The code is stable
(clients may branch on it), the HTTP status is real, `retryable` says whether the same call may succeed later, and the
message tells a person what to do. A test holds that no code is used that is not in the table and none stands there
unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One row of the catalogue: `message` is a `str.format` template over the error's detail."""

    http_status: int
    retryable: bool
    message: str


CATALOGUE: Mapping[str, ErrorSpec] = {
    # -- requests ---------------------------------------------------------------------------------------------------
    "ROUTE_NOT_FOUND": ErrorSpec(404, False, "There is nothing at this path. GET /docs lists every route."),
    "METHOD_NOT_ALLOWED": ErrorSpec(405, False, "This path does not take {method}; it takes {allowed}."),
    "BODY_NOT_JSON": ErrorSpec(400, False, "The request body is not a JSON object: {reason}."),
    "REQUEST_MALFORMED": ErrorSpec(400, False, "This is not HTTP/1.1 as RFC 9112 has it: {reason}."),
    "BODY_TOO_LARGE": ErrorSpec(413, False, "The request body is larger than {limit_bytes} bytes."),
    "BODY_TIMEOUT": ErrorSpec(
        408, True, "The request body was not here after {timeout_seconds} s; send the request again."
    ),
    "CONTENT_TYPE_NOT_SUPPORTED": ErrorSpec(415, False, "Send the body as {expected}, not as '{content_type}'."),
    "VALIDATION_FAILED": ErrorSpec(422, False, "The request has fields that are wrong or missing; see detail.fields."),
    "ENCODING_NOT_SUPPORTED": ErrorSpec(
        415, False, "Send the body as it is: Content-Encoding '{encoding}' is not accepted."
    ),
    "IDEMPOTENCY_KEY_REUSED": ErrorSpec(
        409, False, "This Idempotency-Key was used for a different request; use a new key for a new upload."
    ),
    "CURSOR_INVALID": ErrorSpec(400, False, "The cursor is not one that this API gave out; start without a cursor."),
    "UPLOAD_NOT_FOUND": ErrorSpec(404, False, "There is no upload {upload_id}."),
    "UPLOAD_RECOVERING": ErrorSpec(
        503,
        True,
        "Redis has lost upload {upload_id}, the temp volume has not: it goes on after `sluice recover`.",
    ),
    "VOLUME_RECOVERING": ErrorSpec(
        503, True, "Redis has lost what is on temp volume {volume}; uploads are taken again after `sluice recover`."
    ),
    "CONTENT_NOT_FOUND": ErrorSpec(404, False, "There is no content {content_id}."),
    "THUMBNAIL_NOT_FOUND": ErrorSpec(404, False, "Content {content_id} has no thumbnail: there is nothing to show."),
    "RANGE_NOT_SATISFIABLE": ErrorSpec(416, False, "The range begins behind the end: there are {size_bytes} bytes."),
    "FILE_TOO_LARGE_FOR_VOLUME": ErrorSpec(
        413, False, "{size_bytes} bytes are more than the temp volume can ever hold, {capacity_bytes}."
    ),
    "FILE_TOO_LARGE_FOR_STORE": ErrorSpec(
        413, False, "{size_bytes} bytes are more than the store can hold as one object ({limit_bytes})."
    ),
    "SEGMENT_OUT_OF_RANGE": ErrorSpec(
        404, False, "Segment {number} does not exist: this upload has segments 1 to {segment_count}."
    ),
    "SEGMENT_LENGTH_WRONG": ErrorSpec(
        400, False, "Segment {number} must be {expected_bytes} bytes long; {received_bytes} came."
    ),
    "SEGMENT_DIGEST_WRONG": ErrorSpec(
        400, True, "The {algorithm} of what arrived is not the one that was sent with it; send the segment again."
    ),
    "SEGMENT_DIFFERS": ErrorSpec(
        409, False, "Segment {number} is already here with other bytes; a segment that was accepted does not change."
    ),
    "DIGEST_NOT_SUPPORTED": ErrorSpec(400, False, "The digest header cannot be used: {reason}."),
    "SEGMENT_STALLED": ErrorSpec(
        408, True, "No bytes came for {stall_seconds} s, or the whole segment took too long; send the segment again."
    ),
    "SEGMENT_CUT_OFF": ErrorSpec(400, True, "The connection ended before the whole segment was here; send it again."),
    "UPLOAD_WAITING": ErrorSpec(
        409, True, "The temp volume has no room yet; this upload is number {queue_position} in the queue."
    ),
    "IMPORT_NOT_ALLOWED": ErrorSpec(
        403, False, "Nothing may be imported from '{bucket}'; SLUICE_IMPORT_BUCKETS says what may."
    ),
    "IMPORT_OWN_OBJECT": ErrorSpec(409, False, "{key} was made by Sluice itself; it is no object to import."),
    "IMPORT_OBJECT_MISSING": ErrorSpec(404, False, "There is no object {key} in '{bucket}'."),
    "IMPORT_EMPTY": ErrorSpec(422, False, "{key} has no bytes; there is nothing to import."),
    "TRANSPORT_NOT_OFFERED": ErrorSpec(422, False, "Transport '{transport}' is not offered here: {reason}."),
    "UPLOAD_COMPLETE": ErrorSpec(409, False, "Every byte of this upload is here ({status}); nothing more can be sent."),
    "SEGMENTS_MISSING": ErrorSpec(
        409, False, "The store does not hold every segment yet: detail.missing are ranges still to be sent, or again."
    ),
    "EVENTS_OFF": ErrorSpec(404, False, "No notifications are taken here: SLUICE_EVENTS_TOKEN is not set."),
    "EVENTS_TOKEN_WRONG": ErrorSpec(401, False, "The Authorization of this notification is not SLUICE_EVENTS_TOKEN."),
    "TRANSPORT_DIFFERS": ErrorSpec(409, False, "This upload is of transport '{transport}', which has no use for that."),
    "GATEWAY_BUSY": ErrorSpec(503, True, "The gateway is shutting down or overloaded; try again shortly."),
    "NOT_READY": ErrorSpec(503, True, "What the gateway stands on is away: {names}; see detail.problems."),
    "INTERNAL": ErrorSpec(500, True, "Something went wrong here; the request id leads to it in the log."),
    # -- how an upload ends -------------------------------------------------------------------------------------------
    "UPLOAD_ENDED": ErrorSpec(409, False, "This upload has ended as {status}; nothing can be added to it."),
    "UPLOAD_EXPIRED": ErrorSpec(410, False, "No segment came within the lease; what was here has been removed."),
    "UPLOAD_CANCELLED": ErrorSpec(410, False, "The upload was cancelled by its client."),
    # -- media
    # ----------------------------------------------------------------------------------------------------------
    "NOT_MEDIA": ErrorSpec(422, False, "The file is no video, image or audio that can be read: {reason}."),
    "MEDIA_TIMEOUT": ErrorSpec(422, False, "Reading the file's metadata took longer than {timeout_seconds} s."),
    "MEDIA_TOOL_FAILED": ErrorSpec(500, True, "{tool} could not be run: {reason}."),
    "FILE_DIGEST_WRONG": ErrorSpec(
        422, False, "The {algorithm} of the whole file is not the one announced at creation; upload it again."
    ),
    # -- the object store
    # -----------------------------------------------------------------------------------------------
    "STORE_UNAVAILABLE": ErrorSpec(503, True, "The object store did not answer as it should: {reason}."),
    "STORE_AUTH_FAILED": ErrorSpec(502, True, "The object store refused our credentials: {reason}."),
    "STORE_REJECTED": ErrorSpec(502, False, "The object store refused the request for good: {reason}."),
    "STORE_OBJECT_MISSING": ErrorSpec(502, False, "The object store has no {key}."),
    "SEGMENT_CORRUPT": ErrorSpec(
        500, True, "Segment {number} does not match the digest taken when it arrived; it is needed again."
    ),
    "OBJECT_CHANGED": ErrorSpec(409, False, "{key} was changed in the store while it was read; import it again."),
    "CONTENT_EXISTS": ErrorSpec(409, False, "Another content is this very object already: {key}."),
    "STORE_SESSION_LOST": ErrorSpec(502, True, "The object store has forgotten the transfer that was begun: {reason}."),
    "MANIFEST_REFUSED": ErrorSpec(502, True, "The object store refused the manifest: {reason}."),
    # -- what Sluice stands on
    # --------------------------------------------------------------------------------------------
    "REDIS_UNAVAILABLE": ErrorSpec(503, True, "Redis is away: {reason}."),
    "DATABASE_UNAVAILABLE": ErrorSpec(503, True, "PostgreSQL is away: {reason}."),
    "CACHE_PURGE_FAILED": ErrorSpec(503, True, "The cache in front of the store did not let go of {key}: {reason}."),
    "TEMP_VOLUME_FULL": ErrorSpec(507, True, "The temp volume has no room: {reason}."),
    "TEMP_VOLUME_FAILED": ErrorSpec(507, True, "The temp volume cannot be used: {reason}."),
    "TEMP_FILE_MISSING": ErrorSpec(500, False, "The temp file of this upload is gone; upload it again."),
    "STAGE_LOST": ErrorSpec(500, True, "Another worker has taken over stage {stage}."),
    "STAGE_TIMEOUT": ErrorSpec(500, True, "Stage {stage} did not end within {timeout_seconds} s."),
    "STAGE_CRASHED": ErrorSpec(500, True, "Stage {stage} ended unexpectedly: {reason}."),
}


class SluiceError(Exception):
    """An error with a code of the catalogue. `detail` holds the facts, JSON-able, that fill the message and go to the
    client."""

    def __init__(self, code: str, /, **detail: Any) -> None:
        self.spec = CATALOGUE[code]
        self.code = code
        self.detail = detail
        super().__init__(self.spec.message.format_map(_Blank(detail)))

    @property
    def message(self) -> str:
        return str(self)

    @property
    def http_status(self) -> int:
        return self.spec.http_status

    @property
    def retryable(self) -> bool:
        return self.spec.retryable

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, self.detail))


class RequestError(SluiceError):
    """The client sent something that it can mend."""


class UploadEnded(SluiceError):
    """The upload has ended; nothing can be added to it."""


class MediaError(SluiceError):
    """The file is not media that can be read, or not the file that was announced."""


class StoreError(SluiceError):
    """The object store refused or failed."""


class StoreUnavailable(StoreError):
    """The object store may succeed later. `retry_after_seconds`, where the store said so, is a lower bound."""

    def __init__(
        self, code: str = "STORE_UNAVAILABLE", /, *, retry_after_seconds: float | None = None, **detail: Any
    ) -> None:
        super().__init__(code, **detail)
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, {**self.detail, "retry_after_seconds": self.retry_after_seconds}))


class SegmentCorrupt(StoreError):
    """The bytes of segment `number` differ from the digest taken when they arrived."""

    def __init__(self, number: int) -> None:
        super().__init__("SEGMENT_CORRUPT", number=number)
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return (SegmentCorrupt, (self.number,))


class DependencyUnavailable(SluiceError):
    """Redis or PostgreSQL is away."""


class TempVolumeError(SluiceError):
    """The temp volume is full or broken, or a temp file is gone."""


class StageLost(SluiceError):
    """The caller's lease on a stage has passed to somebody else, or the upload has ended; stop at once, write
    nothing."""


class _Blank(dict[str, Any]):
    """A missing fact leaves its name in the message instead of hiding the error behind a KeyError."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _rebuild(kind: type[SluiceError], code: str, detail: dict[str, Any]) -> SluiceError:
    return kind(code, **detail)
