"""The error catalogue: the codes of every failure that Sluice can report.

Guarantee: a code is stable, so clients may branch on it. The HTTP status is the one that is sent; `retryable` says
whether the same call may succeed later; the message says what happened and what to do. A test checks that every code
used is in the table and that every code in the table is used.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.append_error_codes import APPEND_CODES
from pipeline.core.error_spec import ErrorSpec

CATALOGUE: Mapping[str, ErrorSpec] = {
    # Authentication and authorisation
    "UNAUTHENTICATED": ErrorSpec(401, False, "This request needs an API key or a token; send Authorization: Bearer."),
    "CREDENTIAL_INVALID": ErrorSpec(401, False, "The key or token is not valid: {reason}."),
    "CREDENTIAL_EXPIRED": ErrorSpec(401, False, "The key or token has expired; request a new one."),
    "ACCESS_DENIED": ErrorSpec(403, False, "This request needs {needed}; it was sent with {granted}."),
    "PERMIT_EXCEEDED": ErrorSpec(403, False, "The permit does not allow this upload: {reason}."),
    "AUTH_UNAVAILABLE": ErrorSpec(503, True, "Tokens cannot be verified at the moment: {reason}."),
    # Limits
    "RATE_LIMITED": ErrorSpec(429, True, "Too many {what}; try again after {retry_after_seconds} s."),
    "QUEUE_FULL": ErrorSpec(
        429, True, "At most {value} uploads may wait for room at once; try again after {retry_after_seconds} s."
    ),
    "OWNER_LIMIT": ErrorSpec(
        429,
        True,
        "The owner of this upload has reached the limit '{limit}', which is {value}; try again when some of its uploads"
        " have ended.",
    ),
    "DAILY_LIMIT": ErrorSpec(
        429,
        True,
        "The owner of this upload may upload {value} bytes per day (UTC); try again after {retry_after_seconds} s.",
    ),
    "FILE_TOO_LARGE_FOR_OWNER": ErrorSpec(
        413, False, "The file has {size_bytes} bytes; the limit '{limit}' of its owner is {value}."
    ),
    # Requests
    "ROUTE_NOT_FOUND": ErrorSpec(404, False, "There is no such path. GET /docs lists every route."),
    "METHOD_NOT_ALLOWED": ErrorSpec(405, False, "This path does not accept {method}; it accepts {allowed}."),
    "BODY_NOT_JSON": ErrorSpec(400, False, "The request body is not a JSON object: {reason}."),
    "REQUEST_MALFORMED": ErrorSpec(400, False, "The request is not valid HTTP/1.1 (RFC 9112): {reason}."),
    "BODY_TOO_LARGE": ErrorSpec(413, False, "The request body is larger than {limit_bytes} bytes."),
    "BODY_TIMEOUT": ErrorSpec(
        408, True, "The request body did not arrive within {timeout_seconds} s; send the request again."
    ),
    "CONTENT_TYPE_NOT_SUPPORTED": ErrorSpec(415, False, "Send the body as {expected}, not as '{content_type}'."),
    "VALIDATION_FAILED": ErrorSpec(422, False, "Some fields of the request are missing or invalid; see detail.fields."),
    "ENCODING_NOT_SUPPORTED": ErrorSpec(
        415, False, "Send the body without Content-Encoding; '{encoding}' is not supported."
    ),
    "CONTENT_TYPE_NOT_MEDIA": ErrorSpec(
        422,
        False,
        "A file of type '{content_type}' is not a video, image or audio file that can be read. If its type is not"
        " known, send application/octet-stream.",
    ),
    "IDEMPOTENCY_KEY_REUSED": ErrorSpec(
        409, False, "This Idempotency-Key was used for a different request; use a new key for a new upload."
    ),
    "CURSOR_INVALID": ErrorSpec(
        400, False, "The cursor does not belong to this list with these filters and this order; start again without it."
    ),
    "UPLOAD_NOT_FOUND": ErrorSpec(404, False, "There is no upload {upload_id}."),
    "UPLOAD_IN_OTHER_CELL": ErrorSpec(
        307, False, "Upload {upload_id} belongs to cell {cell}; send the request to the URL in Location."
    ),
    "CREATE_IN_OTHER_CELL": ErrorSpec(
        307, False, "The upload is to be created in cell {cell}; send the request to the URL in Location."
    ),
    "PARTIAL_UPLOADS_APART": ErrorSpec(
        409, False, "The partial uploads are in different cells ({cells}), which cannot be joined; send the file again."
    ),
    "UPLOAD_RECOVERING": ErrorSpec(
        503,
        True,
        "Redis has lost upload {upload_id}, but the temp volume still has it; it continues after `sluice recover`.",
    ),
    "VOLUME_RECOVERING": ErrorSpec(
        503, True, "Redis has lost the records of temp volume {volume}; uploads are accepted after `sluice recover`."
    ),
    "VOLUME_DRAINING": ErrorSpec(
        503,
        True,
        "Temp volume {volume} is being drained: it takes no new uploads, and those that it has continue; try again"
        " after {retry_after_seconds} s.",
    ),
    "CONTENT_NOT_FOUND": ErrorSpec(404, False, "There is no content {content_id}."),
    "WEBHOOK_NOT_FOUND": ErrorSpec(404, False, "There is no webhook {webhook_id}."),
    "REPLAY_NOT_FOUND": ErrorSpec(404, False, "There is no replay {replay_id}."),
    "REPLAY_OF_NEWER_RELEASE": ErrorSpec(
        409, False, "The replay was created by a newer release, with filters that this one does not know: {reason}."
    ),
    "WEBHOOK_LIMIT": ErrorSpec(
        409, False, "The owner has {value} webhooks, which is the limit; delete one that is no longer needed."
    ),
    "WEBHOOK_URL_REFUSED": ErrorSpec(422, False, "The URL of a webhook is refused: {reason}."),
    "THUMBNAIL_NOT_FOUND": ErrorSpec(
        404, False, "Content {content_id} has no thumbnail, because no picture could be made from the file."
    ),
    "THUMBNAIL_NOT_MADE": ErrorSpec(
        404,
        False,
        "Upload {upload_id} has no thumbnail: it is not made yet, or no picture could be made from the file; see its"
        " stage `thumbnail`.",
    ),
    "RECEIPTS_NOT_OFFERED": ErrorSpec(
        404, False, "This server issues no receipts; SLUICE_RECEIPT_KEYS of its gateways names the keys that sign them."
    ),
    "PRECONDITION_FAILED": ErrorSpec(412, False, "{condition} does not hold for this content, whose ETag is {etag}."),
    "RANGE_NOT_SATISFIABLE": ErrorSpec(
        416, False, "The range starts beyond the end of the content, which has {size_bytes} bytes."
    ),
    "SEGMENTS_TOO_LARGE_FOR_VOLUME": ErrorSpec(
        413,
        False,
        "The temp volume holds {capacity_bytes} bytes, which is less than two of this file's segments of "
        "{segment_bytes} bytes.",
    ),
    "FILE_TOO_LARGE_FOR_STORE": ErrorSpec(
        413, False, "The file has {size_bytes} bytes; the object store accepts at most {limit_bytes} per object."
    ),
    "SEGMENT_OUT_OF_RANGE": ErrorSpec(
        404, False, "There is no segment {number}; the segments are numbered 1 to {segment_count}."
    ),
    "SEGMENT_LENGTH_WRONG": ErrorSpec(
        400, False, "Segment {number} must have {expected_bytes} bytes; {received_bytes} were sent."
    ),
    "SEGMENT_DIGEST_WRONG": ErrorSpec(
        400, True, "The {algorithm} of the received bytes differs from the one sent with them; send the segment again."
    ),
    "SEGMENT_DIFFERS": ErrorSpec(
        409, False, "Segment {number} was already received with different bytes and cannot be changed."
    ),
    "DIGEST_NOT_SUPPORTED": ErrorSpec(400, False, "The digest header cannot be used: {reason}."),
    "SEGMENT_WINDOW_FULL": ErrorSpec(
        503, True, "There is no room for segment {number} yet; send it again after {retry_after_seconds} s."
    ),
    "SEGMENT_STALLED": ErrorSpec(
        408,
        True,
        "No bytes arrived for {stall_seconds} s, or the whole segment took too long; send the segment again.",
    ),
    "SEGMENT_CUT_OFF": ErrorSpec(
        400, True, "The connection ended before the whole segment arrived; send the segment again."
    ),
    **APPEND_CODES,
    "UPLOAD_WAITING": ErrorSpec(
        409, True, "The temp volume has no room yet; this upload is number {queue_position} in the queue."
    ),
    "IMPORT_NOT_ALLOWED": ErrorSpec(
        403, False, "Objects in '{bucket}' may not be imported; SLUICE_IMPORT_BUCKETS lists what may be."
    ),
    "IMPORT_OWN_OBJECT": ErrorSpec(409, False, "{key} was created by Sluice itself and cannot be imported."),
    "IMPORT_OBJECT_MISSING": ErrorSpec(404, False, "There is no object {key} in '{bucket}'."),
    "IMPORT_EMPTY": ErrorSpec(422, False, "{key} is empty, so there is nothing to import."),
    "TRANSPORT_NOT_OFFERED": ErrorSpec(422, False, "Transport '{transport}' is not available here: {reason}."),
    "UPLOAD_COMPLETE": ErrorSpec(
        409, False, "This upload already has every byte (status {status}) and accepts no more."
    ),
    "SEGMENTS_MISSING": ErrorSpec(
        409, False, "The object store does not hold every segment yet; send the ranges in detail.missing."
    ),
    "SEGMENTS_UNEVEN": ErrorSpec(
        422,
        False,
        "The segments in the object store are not those of one file: {reason}. All segments but the last must have the "
        "same length, and the last one no more.",
    ),
    "MULTIPART_REQUIRED": ErrorSpec(
        422,
        False,
        "Files are received in parts only: set the option `shouldUseMultipart: true` of @uppy/aws-s3. An empty file "
        "cannot be uploaded.",
    ),
    "EVENTS_OFF": ErrorSpec(404, False, "Storage notifications are disabled: SLUICE_EVENTS_TOKEN is not set."),
    "EVENTS_TOKEN_WRONG": ErrorSpec(
        401, False, "The Authorization header of this notification does not match SLUICE_EVENTS_TOKEN."
    ),
    "EVENTS_TOPIC_NOT_ALLOWED": ErrorSpec(
        403, False, "Messages of the SNS topic '{topic}' are not accepted; SLUICE_SNS_TOPICS lists the accepted ones."
    ),
    "EVENTS_SIGNATURE_WRONG": ErrorSpec(
        403, False, "The signature does not prove that this message comes from SNS: {reason}."
    ),
    "EVENTS_NOT_VERIFIED": ErrorSpec(
        503, True, "The certificate for the signature of this SNS message cannot be read: {reason}."
    ),
    "TRANSPORT_DIFFERS": ErrorSpec(
        409, False, "This request does not apply to this upload, whose transport is '{transport}'."
    ),
    "CONNECTION_LIMIT": ErrorSpec(
        503, True, "Too many connections are open from your address; close some, or send fewer requests at once."
    ),
    "STREAM_LIMIT": ErrorSpec(
        429,
        True,
        "This owner has {limit} open event streams on this gateway, which is the limit; close some, or poll.",
    ),
    "DOWNLOAD_LIMIT": ErrorSpec(
        429,
        True,
        "This owner has {limit} downloads in progress on this gateway, which is the limit; try again later.",
    ),
    "REQUEST_LIMIT": ErrorSpec(
        429, True, "{limit} requests of this owner are in progress on this gateway, which is the limit."
    ),
    "GATEWAY_BUSY": ErrorSpec(503, True, "The gateway is overloaded or shutting down; try again shortly."),
    "NOT_READY": ErrorSpec(503, True, "A dependency of the gateway is unavailable: {names}; see detail.problems."),
    "INTERNAL": ErrorSpec(
        500, True, "An unexpected error occurred; try again, or search the gateway's log for the request id."
    ),
    # How an upload ends
    "UPLOAD_ENDED": ErrorSpec(409, False, "This upload has ended with status {status}; it accepts no more requests."),
    "UPLOAD_EXPIRED": ErrorSpec(
        410, False, "The upload expired because its client was idle for too long; its data has been removed."
    ),
    "UPLOAD_DEADLINE": ErrorSpec(
        410,
        False,
        "The upload expired because not every byte had arrived by its deadline; its data has been removed. Send the "
        "file again over a faster connection.",
    ),
    "UPLOAD_CANCELLED": ErrorSpec(410, False, "The upload was cancelled by its client."),
    # Media
    "NOT_MEDIA": ErrorSpec(422, False, "The file is not a video, image or audio file that can be read: {reason}."),
    "MEDIA_TIMEOUT": ErrorSpec(422, False, "Reading the file took longer than {timeout_seconds} s."),
    "MEDIA_TOOL_FAILED": ErrorSpec(500, True, "{tool} could not be run: {reason}."),
    "THUMBNAIL_KEPT": ErrorSpec(
        422, False, "No picture can be made from content {content_id} any more, so it keeps the thumbnail that it has."
    ),
    "MEDIA_NOT_PERMITTED": ErrorSpec(422, False, "The permit of this upload does not allow the file: {reason}."),
    "FILE_DIGEST_WRONG": ErrorSpec(
        422, False, "The {algorithm} of the whole file differs from the one given at creation; upload the file again."
    ),
    # The object store
    "STORE_UNAVAILABLE": ErrorSpec(503, True, "The object store is unavailable: {reason}."),
    "STORE_AUTH_FAILED": ErrorSpec(
        502, True, "The object store refused the credentials that Sluice is configured with: {reason}."
    ),
    "STORE_REJECTED": ErrorSpec(502, False, "The object store permanently refused a request: {reason}."),
    "STORE_OBJECT_MISSING": ErrorSpec(502, False, "The object store has no object {key}."),
    "SEGMENT_CORRUPT": ErrorSpec(
        500, True, "The bytes of segment {number} no longer match the digest taken on arrival; send the segment again."
    ),
    "OBJECT_CHANGED": ErrorSpec(
        409, False, "The object {key} was changed in the store while it was being read; import it again."
    ),
    "CONTENT_EXISTS": ErrorSpec(409, False, "Another content already refers to the object {key}."),
    "STORE_SESSION_LOST": ErrorSpec(
        502, True, "The object store no longer knows the multipart upload that was started: {reason}."
    ),
    "MANIFEST_REFUSED": ErrorSpec(502, True, "The object store refused the manifest: {reason}."),
    "OBJECT_DIGEST_WRONG": ErrorSpec(
        502,
        False,
        "The object {key} has the crc32c {stored} in the object store, but its bytes had {arrived} when they arrived;"
        " it is kept for an operator.",
    ),
    "DELETION_CRASHED": ErrorSpec(500, True, "Removing the content ended unexpectedly: {reason}."),
    # Other dependencies, and the temp volume
    "REDIS_UNAVAILABLE": ErrorSpec(503, True, "Redis is unavailable: {reason}."),
    "DATABASE_UNAVAILABLE": ErrorSpec(503, True, "PostgreSQL is unavailable: {reason}."),
    "DATABASE_REJECTED": ErrorSpec(422, False, "PostgreSQL refused a value that it was sent: {reason}."),
    "CACHE_PURGE_FAILED": ErrorSpec(503, True, "The cache in front of the store did not purge {key}: {reason}."),
    "TEMP_VOLUME_FULL": ErrorSpec(507, True, "The temp volume is full: {reason}."),
    "TEMP_VOLUME_FAILED": ErrorSpec(507, True, "The temp volume cannot be used: {reason}."),
    "DESCRIPTORS_EXHAUSTED": ErrorSpec(
        503, True, "This process has reached its limit of open files and connections; try again shortly."
    ),
    "TEMP_FILE_MISSING": ErrorSpec(500, False, "The temp file of this upload is missing; upload the file again."),
    # Stages
    "STAGE_LOST": ErrorSpec(500, True, "Another worker has taken over stage {stage}."),
    "STAGE_TIMEOUT": ErrorSpec(500, True, "Stage {stage} did not finish within {timeout_seconds} s."),
    "STAGE_CRASHED": ErrorSpec(500, True, "Stage {stage} ended unexpectedly: {reason}."),
}
