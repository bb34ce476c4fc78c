"""What the author of a client does about each error code: a sentence for /docs and `x-error-catalogue`.

Guarantee: every code of the error catalogue has an entry, and a test compares the two, so that no one adds a code
without deciding on its advice. `deploy.cli.advice` has the sentences for users of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RETRY: Final = "Send the same request again after `Retry-After` seconds."
_FIX: Final = "Fix the request; sending it again as it is fails again."
_OPERATOR: Final = "An operator has to fix this; `sluice doctor` on the server shows the cause."
_NEW_UPLOAD: Final = "Create a new upload and send the file from the start."
_SEND_SEGMENT: Final = "Send the segment again; the segments received so far are kept."
_ASK_OFFSET: Final = "Ask for the offset (HEAD), then continue there."
_NO_RETRY: Final = "Do not send it again. Tell the person to choose another file."
_STAGE: Final = "The workers retry by themselves. If the upload fails, create a new one."

ADVICE: Final[Mapping[str, str]] = {
    "UNAUTHENTICATED": "Send `Authorization: Bearer` with an API key or a token.",
    "CREDENTIAL_INVALID": "Check that the key is complete, of this server and not revoked (`sluice key list`).",
    "CREDENTIAL_EXPIRED": "Request a new token from your backend, or a new key from the operator; then continue.",
    "ACCESS_DENIED": "Use a credential with what `detail.needed` names.",
    "PERMIT_EXCEEDED": "Request another permit, or choose a file within the limits of this one.",
    "AUTH_UNAVAILABLE": _RETRY,
    "RATE_LIMITED": _RETRY + " The header `RateLimit` says how many requests are left.",
    "QUEUE_FULL": _RETRY,
    "OWNER_LIMIT": "Wait until some uploads have ended, or cancel uploads that are not needed.",
    "DAILY_LIMIT": _RETRY + " The day ends at midnight UTC.",
    "FILE_TOO_LARGE_FOR_OWNER": _NO_RETRY + " The operator can raise the limit.",
    "ROUTE_NOT_FOUND": "Compare the path with this page; the ids in it are those that the API returned.",
    "METHOD_NOT_ALLOWED": "Use one of the methods in `detail.allowed`.",
    "BODY_NOT_JSON": "Send one JSON object in UTF-8.",
    "REQUEST_MALFORMED": "Look for a proxy or an HTTP library that changes requests.",
    "BODY_TOO_LARGE": _FIX + " `detail.limit_bytes` is the limit.",
    "BODY_TIMEOUT": "Send the request again, over a faster connection.",
    "CONTENT_TYPE_NOT_SUPPORTED": "Set `Content-Type` to `detail.expected`.",
    "VALIDATION_FAILED": "`detail.fields` names each invalid field and the reason. " + _FIX,
    "ENCODING_NOT_SUPPORTED": "Send the bytes uncompressed, without `Content-Encoding`.",
    "CONTENT_TYPE_NOT_MEDIA": _NO_RETRY + " If it is media all the same, send `application/octet-stream`.",
    "IDEMPOTENCY_KEY_REUSED": "Use a new UUID for each file.",
    "CURSOR_INVALID": "Read the list from its beginning, and keep filters and order while you follow `next_cursor`.",
    "UPLOAD_NOT_FOUND": "Check the id and the credential's owner. Records of ended uploads are deleted after a day.",
    "UPLOAD_IN_OTHER_CELL": "Send the same request, with its credential, to the URL in `Location`; browsers do it by "
    "themselves. The links of an upload lead to its cell at once.",
    "CREATE_IN_OTHER_CELL": "Send the same request, with its credential, to the URL in `Location`; browsers do it by "
    "themselves.",
    "PARTIAL_UPLOADS_APART": _NEW_UPLOAD + " Create all parts with the same credential.",
    "UPLOAD_RECOVERING": _RETRY + " Nothing has to be sent again.",
    "VOLUME_RECOVERING": _RETRY,
    "VOLUME_DRAINING": _RETRY + " A load balancer in front of several cells may send the request to another one.",
    "CONTENT_NOT_FOUND": "Check the id and the credential's owner. A content exists once its upload is `ready`.",
    "WEBHOOK_NOT_FOUND": "Check the id and the credential's owner; `GET /v1/webhooks` lists the webhooks.",
    "REPLAY_NOT_FOUND": "No route reports it; `sluice replay list` shows the ids.",
    "REPLAY_OF_NEWER_RELEASE": "No route reports it; continue the replay with the release that created it.",
    "WEBHOOK_LIMIT": "Delete a webhook, or let one endpoint receive more events. The operator can raise the limit.",
    "WEBHOOK_URL_REFUSED": "Use an https URL of a public host. The operator can allow networks with "
    "SLUICE_WEBHOOK_NETWORKS.",
    "THUMBNAIL_NOT_FOUND": "Show a placeholder. `thumbnail` is null in the content.",
    "THUMBNAIL_KEPT": "No route reports it; `sluice replay show` does. The content is as it was.",
    "THUMBNAIL_NOT_MADE": "Ask again when the stage `thumbnail` is `done`.",
    "PRECONDITION_FAILED": "Download the content again without the condition.",
    "RANGE_NOT_SATISFIABLE": "Request a range below `detail.size_bytes`.",
    "SEGMENTS_TOO_LARGE_FOR_VOLUME": _OPERATOR + " The temp volume is too small for this file's segments.",
    "FILE_TOO_LARGE_FOR_STORE": _NO_RETRY,
    "SEGMENT_OUT_OF_RANGE": "Number the segments from 1 to `segment_count`.",
    "SEGMENT_LENGTH_WRONG": "Cut the file at multiples of `segment_size`; only the last segment is shorter.",
    "SEGMENT_DIGEST_WRONG": _SEND_SEGMENT,
    "SEGMENT_DIFFERS": "The file has changed since the upload began. " + _NEW_UPLOAD,
    "DIGEST_NOT_SUPPORTED": "Use sha-256, crc32c or md5 in the form of RFC 9530.",
    "SEGMENT_WINDOW_FULL": "Send the segments of `wanted_segments` first, this one after `Retry-After` seconds.",
    "SEGMENT_STALLED": _SEND_SEGMENT + " Send fewer at once if this repeats.",
    "SEGMENT_CUT_OFF": _SEND_SEGMENT,
    "APPEND_OFFSET_WRONG": "Continue at `detail.offset`.",
    "APPEND_TOO_LONG": "Send no more than the announced size. If the file has grown, create a new upload.",
    "APPEND_TOO_LARGE": "Send at most `detail.limit_bytes` per request, or leave out the digest.",
    "APPEND_NO_ROOM": _RETRY,
    "APPEND_SUPERSEDED": "Stop this request. Ask for the offset (HEAD) if no newer one of yours continues.",
    "APPEND_DIGEST_WRONG": "Send the same bytes again at the same offset.",
    "APPEND_STALLED": _ASK_OFFSET,
    "APPEND_CUT_OFF": _ASK_OFFSET,
    "TUS_VERSION_NOT_SUPPORTED": "Send `Tus-Resumable` with a version that the header `Tus-Version` lists.",
    "UPLOAD_LENGTH_REQUIRED": "Send `Upload-Length` or `Upload-Defer-Length` when you create the upload. Segments with "
    "a number cannot be sent before the length is known.",
    "DEFERRED_TOO_LARGE": "Create the upload with its length, or send a smaller file. `SLUICE_DEFERRED_BYTES` is the "
    "limit.",
    "UPLOAD_LENGTH_DIFFERS": "Announce the same length in every request. If the file has changed, create a new upload.",
    "UPLOAD_HEADER_INVALID": _FIX + " `detail.header` names the header.",
    "CONCATENATION_NOT_SUPPORTED": "Create the partial uploads again, and send the file again.",
    "UPLOAD_NOT_PARTIAL": "Create every part with `Upload-Concat: partial`.",
    "PARTIAL_UPLOAD_INCOMPLETE": "Send the rest of `detail.upload_id`, then create the final upload.",
    "PARTIAL_UPLOADS_NOT_STORED": _RETRY,
    "PARTIAL_UPLOAD_USED": "Send the bytes of `detail.upload_id` again as a new partial upload.",
    "TOO_MANY_SEGMENTS": "Send fewer and larger partial uploads.",
    "UPLOAD_IS_FINAL": "Send bytes to its partial uploads, before you create it.",
    "CHECKSUM_NOT_SUPPORTED": "Send one `Upload-Checksum`, with an algorithm of `Tus-Checksum-Algorithm`.",
    "UPLOAD_WAITING": "Wait `Retry-After` seconds, or follow the events until the upload is `admitted`.",
    "IMPORT_NOT_ALLOWED": "The operator adds the bucket to SLUICE_IMPORT_BUCKETS.",
    "IMPORT_OWN_OBJECT": "Import only objects that Sluice has not created.",
    "IMPORT_OBJECT_MISSING": "Check bucket and key. " + _FIX,
    "IMPORT_EMPTY": "Import an object that has bytes.",
    "TRANSPORT_NOT_OFFERED": "Create the upload with the transport `gateway`.",
    "UPLOAD_COMPLETE": "Nothing: every byte has arrived. Follow the upload until it is `ready`.",
    "SEGMENTS_MISSING": "Send the ranges in `detail.missing`, then complete the upload again.",
    "SEGMENTS_UNEVEN": _NEW_UPLOAD + " Give all segments but the last the same length.",
    "MULTIPART_REQUIRED": "Set `shouldUseMultipart: true` of @uppy/aws-s3, and refuse empty files.",
    "EVENTS_OFF": "The operator sets SLUICE_EVENTS_TOKEN to accept notifications.",
    "EVENTS_TOKEN_WRONG": "Configure the store with the secret of SLUICE_EVENTS_TOKEN.",
    "EVENTS_TOPIC_NOT_ALLOWED": "The operator adds the topic to SLUICE_SNS_TOPICS.",
    "EVENTS_SIGNATURE_WRONG": "Check that the sender is Amazon SNS and that no proxy changes the message.",
    "EVENTS_NOT_VERIFIED": "SNS sends the message again; the gateway needs access to its certificate.",
    "TRANSPORT_DIFFERS": "Follow the links of the upload; those that do not apply are null.",
    "CONNECTION_LIMIT": "Close idle connections, or send fewer requests at once. " + _RETRY,
    "STREAM_LIMIT": "Close a stream, or poll `GET /v1/uploads/{id}`.",
    "DOWNLOAD_LIMIT": _RETRY,
    "REQUEST_LIMIT": "Send fewer requests at once. " + _RETRY,
    "GATEWAY_BUSY": _RETRY,
    "NOT_READY": "Send requests to another gateway until this one is ready.",
    "INTERNAL": _RETRY + " If it repeats, give the operator the `request_id`.",
    "UPLOAD_ENDED": _NEW_UPLOAD,
    "UPLOAD_EXPIRED": _NEW_UPLOAD + " Send segments, or retry, before `expires_at`.",
    "UPLOAD_DEADLINE": _NEW_UPLOAD,
    "UPLOAD_CANCELLED": _NEW_UPLOAD,
    "NOT_MEDIA": _NO_RETRY,
    "MEDIA_TIMEOUT": _NO_RETRY,
    "MEDIA_TOOL_FAILED": _OPERATOR,
    "MEDIA_NOT_PERMITTED": "Choose a file within the limits of the permit.",
    "FILE_DIGEST_WRONG": _NEW_UPLOAD + " Compute the digest of the same bytes that you send.",
    "STORE_UNAVAILABLE": _RETRY,
    "STORE_AUTH_FAILED": _OPERATOR,
    "STORE_REJECTED": _OPERATOR,
    "STORE_OBJECT_MISSING": "Delete the content: something other than Sluice has removed its object.",
    "SEGMENT_CORRUPT": _SEND_SEGMENT + " `missing_segments` lists it.",
    "OBJECT_CHANGED": "Import the object again.",
    "CONTENT_EXISTS": "Use the content that exists.",
    "STORE_SESSION_LOST": "Send the segments that `missing_segments` lists again.",
    "RECEIPTS_NOT_OFFERED": "Use `repr_digest` of the content, which is not signed.",
    "MANIFEST_REFUSED": _STAGE,
    "OBJECT_DIGEST_WRONG": _NEW_UPLOAD,
    "DELETION_CRASHED": "Nothing: the deletion is tried again by itself.",
    "REDIS_UNAVAILABLE": _RETRY,
    "DATABASE_UNAVAILABLE": _RETRY,
    "DATABASE_REJECTED": _FIX,
    "CACHE_PURGE_FAILED": "Nothing: the purge is tried again by itself.",
    "TEMP_VOLUME_FULL": _RETRY,
    "TEMP_VOLUME_FAILED": _RETRY + " " + _OPERATOR,
    "DESCRIPTORS_EXHAUSTED": _RETRY,
    "TEMP_FILE_MISSING": _NEW_UPLOAD,
    "STAGE_LOST": _STAGE,
    "STAGE_TIMEOUT": _STAGE,
    "STAGE_CRASHED": _STAGE,
}


def advice_for(code: str) -> str:
    """The advice; "" for a code without an entry, which the tests refuse."""
    return ADVICE.get(code, "")
