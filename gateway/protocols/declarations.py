"""What the routes of /files/ declare: their error codes, and the header fields that they read and send."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.error_codes import REGISTRATION_ERRORS, STORE_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.protocols.dialects import TUS_VERSION
from gateway.routing import RequestHeader
from pipeline.core.digests import CHECKSUMS

EXTENSIONS: Final = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "checksum-trailer",
    "termination",
    "concatenation",
)
"""Those of tus 1.0 that are implemented, whole. Concatenation needs a store that can join uploads."""

_PROTOCOL_ERRORS = ("TUS_VERSION_NOT_SUPPORTED", "UPLOAD_HEADER_INVALID")
_BODY_ERRORS = (
    "ENCODING_NOT_SUPPORTED",
    "CONTENT_TYPE_NOT_SUPPORTED",
    "BODY_TOO_LARGE",
    "CHECKSUM_NOT_SUPPORTED",
    "DIGEST_NOT_SUPPORTED",
    "UPLOAD_LENGTH_DIFFERS",
    "APPEND_OFFSET_WRONG",
    "APPEND_TOO_LONG",
    "APPEND_TOO_LARGE",
    "APPEND_NO_ROOM",
    "APPEND_SUPERSEDED",
    "APPEND_DIGEST_WRONG",
    "APPEND_STALLED",
    "APPEND_CUT_OFF",
    "SEGMENT_DIFFERS",
    "DEFERRED_TOO_LARGE",
    "VALIDATION_FAILED",
)
_ENDS = ("UPLOAD_ENDED", "TRANSPORT_DIFFERS")

CREATE_ERRORS = (
    *_PROTOCOL_ERRORS,
    *_BODY_ERRORS,
    "UPLOAD_LENGTH_REQUIRED",
    "CONCATENATION_NOT_SUPPORTED",
    "UPLOAD_NOT_PARTIAL",
    "PARTIAL_UPLOAD_INCOMPLETE",
    "PARTIAL_UPLOADS_NOT_STORED",
    "PARTIAL_UPLOAD_USED",
    "PARTIAL_UPLOADS_APART",
    "TOO_MANY_SEGMENTS",
    "UPLOAD_RECOVERING",
    "VALIDATION_FAILED",
    "PERMIT_EXCEEDED",
    "CONTENT_TYPE_NOT_MEDIA",
    "IDEMPOTENCY_KEY_REUSED",
    "SEGMENTS_TOO_LARGE_FOR_VOLUME",
    "FILE_TOO_LARGE_FOR_STORE",
    "UPLOAD_NOT_FOUND",
    *_ENDS,
    *STORE_ERRORS,
    *REGISTRATION_ERRORS,
    "TEMP_FILE_MISSING",
)
SHOW_ERRORS = (*_PROTOCOL_ERRORS, *_ENDS, "APPEND_SUPERSEDED", *UPLOAD_LOOKUP_ERRORS)
APPEND_ERRORS = (
    *_PROTOCOL_ERRORS,
    *_BODY_ERRORS,
    *_ENDS,
    *UPLOAD_LOOKUP_ERRORS,
    "TEMP_FILE_MISSING",
    "FILE_TOO_LARGE_FOR_OWNER",
    "OWNER_LIMIT",
    "DAILY_LIMIT",
    "UPLOAD_IS_FINAL",
)
REMOVE_ERRORS = (*_PROTOCOL_ERRORS, "UPLOAD_ENDED", *UPLOAD_LOOKUP_ERRORS)

RESUMABLE = {"Tus-Resumable": TUS_VERSION}
CAPABILITIES = {
    "Tus-Version": TUS_VERSION,
    "Tus-Extension": ",".join(EXTENSIONS),
    "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
}
CONCAT_HEADER = {"Upload-Concat": "Of a partial or a final upload: as it was sent at its creation"}
STATUS_HEADERS = {"Sluice-Upload-Id": "The id of the upload, and of its content", "Link": "The status of the upload"}
OFFSET_HEADER = {"Upload-Offset": "Bytes that have arrived without a gap"}

WHOLE = {"type": "string", "pattern": "^[0-9]{1,15}$"}
TUS_FIELD = RequestHeader(
    "Tus-Resumable", "`1.0.0`: the request speaks tus.", {"type": "string", "examples": ["1.0.0"]}, "1.0.0"
)
INTEROP_FIELD = RequestHeader(
    "Upload-Draft-Interop-Version",
    "The version of the IETF draft that the request speaks: 8, 6 or 5.",
    {"type": "string", "examples": ["8"]},
)
_COMPLETE = RequestHeader(
    "Upload-Complete", "Draft: `?1` if the body ends the file.", {"type": "string", "examples": ["?0", "?1"]}
)
LENGTH_FIELD = RequestHeader("Upload-Length", "Bytes in the whole file.", WHOLE)
_DEFER_FIELD = RequestHeader(
    "Upload-Defer-Length",
    "tus: `1` in place of Upload-Length: a later request has it. Clients of the draft just leave Upload-Length out.",
    {"type": "string", "enum": ["1"]},
)
_CHECKSUM = RequestHeader(
    "Upload-Checksum",
    "tus: digest of the body, `sha1`, `md5` or `sha256` and base64. The body counts only if it matches. It may be a "
    "trailer of a chunked body, which the header `Trailer: Upload-Checksum` declares.",
    {"type": "string", "examples": ["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="]},
)
_DIGEST = RequestHeader(
    "Content-Digest",
    "Digest of the body (RFC 9530), sha-256 or md5, verified in the same way.",
    {"type": "string", "examples": ["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"]},
)
CREATION_FIELDS = (
    replace(LENGTH_FIELD, value="148012"),
    _DEFER_FIELD,
    RequestHeader(
        "Upload-Metadata",
        "Comma-separated pairs of a key and base64: `filename`, `filetype`, and what else is to be kept with the "
        "content.",
        {"type": "string", "examples": ["filename aG9saWRheS5tcDQ=,filetype dmlkZW8vbXA0"]},
    ),
    RequestHeader(
        "Upload-Concat",
        "tus: `partial`: a part of a file. `final;` and the URLs of partial uploads, separated by spaces: the file "
        "that consists of them.",
        {"type": "string", "examples": ["partial", "final;/files/a /files/b"]},
    ),
    RequestHeader("Repr-Digest", "Digest of the whole file (RFC 9530).", {"type": "string"}),
    RequestHeader("Idempotency-Key", "Makes a repeated creation return the same upload.", {"type": "string"}),
)
BODY_FIELDS = (TUS_FIELD, INTEROP_FIELD, _COMPLETE, _CHECKSUM, _DIGEST)
