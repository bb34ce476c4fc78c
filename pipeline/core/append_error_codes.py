"""The rows of the error catalogue (`error_codes.py`) about appended bytes: tus and the IETF draft."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.error_spec import ErrorSpec

APPEND_CODES: Mapping[str, ErrorSpec] = {
    "APPEND_OFFSET_WRONG": ErrorSpec(
        409,
        False,
        "The upload has {offset} bytes, so bytes from {sent_offset} on cannot be appended; continue at {offset}.",
    ),
    "APPEND_TOO_LONG": ErrorSpec(
        413, False, "The upload has {size_bytes} bytes in all; the request would go on to byte {end_bytes}."
    ),
    "APPEND_TOO_LARGE": ErrorSpec(
        413, False, "With a digest, a request may append at most {limit_bytes} bytes to this upload; send smaller ones."
    ),
    "APPEND_NO_ROOM": ErrorSpec(
        423, True, "The temp volume has no room for these bytes yet; send them again after {retry_after_seconds} s."
    ),
    "APPEND_SUPERSEDED": ErrorSpec(
        423, True, "A newer request appends to this upload; what this one had sent counts. Ask for the offset."
    ),
    "APPEND_DIGEST_WRONG": ErrorSpec(
        460, True, "The {algorithm} of the received bytes differs from the one sent with them; they were discarded."
    ),
    "APPEND_STALLED": ErrorSpec(
        408, True, "No bytes arrived for {stall_seconds} s, or a segment took too long; continue at the offset."
    ),
    "TUS_VERSION_NOT_SUPPORTED": ErrorSpec(
        412, False, "This server speaks tus {supported}; send Tus-Resumable: {supported}, not '{version}'."
    ),
    "UPLOAD_HEADER_INVALID": ErrorSpec(400, False, "The header {header} is missing or not valid: {reason}."),
    "UPLOAD_LENGTH_REQUIRED": ErrorSpec(
        400,
        False,
        "The length of the upload must be known; send Upload-Length, or Upload-Defer-Length when you create it.",
    ),
    "UPLOAD_LENGTH_DIFFERS": ErrorSpec(
        400, False, "The upload has {size_bytes} bytes in all, which cannot be changed to {announced_bytes}."
    ),
    "DEFERRED_TOO_LARGE": ErrorSpec(
        413,
        False,
        "An upload whose length was not known when it was created may have {limit_bytes} bytes at most; create it with"
        " its length.",
    ),
    "CONCATENATION_NOT_SUPPORTED": ErrorSpec(
        400, False, "These partial uploads are not in the store of new uploads, which has changed; send the file again."
    ),
    "UPLOAD_NOT_PARTIAL": ErrorSpec(400, False, "Upload {upload_id} was created without `Upload-Concat: partial`."),
    "PARTIAL_UPLOAD_INCOMPLETE": ErrorSpec(
        400, False, "Of upload {upload_id}, {bytes_received} of {size_bytes} bytes have arrived; send the rest first."
    ),
    "PARTIAL_UPLOADS_NOT_STORED": ErrorSpec(423, True, "The store does not have all of upload {upload_id} yet."),
    "PARTIAL_UPLOAD_USED": ErrorSpec(409, False, "Upload {upload_id} belongs to another final upload already."),
    "TOO_MANY_SEGMENTS": ErrorSpec(413, False, "There are {segment_count} segments; the store joins at most {limit}."),
    "UPLOAD_IS_FINAL": ErrorSpec(403, False, "A final upload takes no bytes of its own."),
    "CHECKSUM_NOT_SUPPORTED": ErrorSpec(400, False, "The checksum cannot be used: {reason}."),
    "APPEND_CUT_OFF": ErrorSpec(400, True, "The connection ended before the request did; continue at the offset."),
}
