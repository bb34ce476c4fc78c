"""Advice for each error code: the sentence that the command line prints after the gateway's own message.

Guarantee: every code of the error catalogue has an entry, and a test compares the two, so that no one adds a code
without deciding on its advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BUG = "This is a bug in this client, or in a proxy between it and the server. Please report it."
_CONTINUE = "Run the same command again to continue."
_SERVER_SIDE = "The problem is on the server. " + _CONTINUE
_RESTART = "Run the same command again to upload the file from the start."
_NONE = ""

ADVICE: Final[Mapping[str, str]] = {
    "UNAUTHENTICATED": "Set SLUICE_KEY to an API key, or pass a file that holds one with --key-file.",
    "CREDENTIAL_INVALID": "Check the key in --key-file or SLUICE_KEY; `sluice key list` on the server lists its keys.",
    "CREDENTIAL_EXPIRED": "The operator of the server creates keys: sluice key create.",
    "ACCESS_DENIED": _NONE,
    "PERMIT_EXCEEDED": _NONE,
    "AUTH_UNAVAILABLE": _SERVER_SIDE,
    "MEDIA_NOT_PERMITTED": _NONE,
    "RATE_LIMITED": _CONTINUE,
    "QUEUE_FULL": _CONTINUE,
    "OWNER_LIMIT": "Cancel uploads that are not needed, or wait until some have ended. " + _CONTINUE,
    "DAILY_LIMIT": "The operator of the server can raise SLUICE_OWNER_BYTES_PER_DAY. " + _CONTINUE,
    "FILE_TOO_LARGE_FOR_OWNER": "The operator of the server can raise SLUICE_OWNER_BYTES or"
    " SLUICE_OWNER_BYTES_PER_DAY.",
    "ROUTE_NOT_FOUND": "Check that --server is the URL of a Sluice gateway, without a path.",
    "METHOD_NOT_ALLOWED": _BUG,
    "BODY_NOT_JSON": _BUG,
    "REQUEST_MALFORMED": _BUG,
    "BODY_TIMEOUT": _CONTINUE,
    "CONTENT_TYPE_NOT_SUPPORTED": _BUG,
    "NOT_READY": _SERVER_SIDE,
    "BODY_TOO_LARGE": "Pass fewer or shorter --metadata values.",
    "VALIDATION_FAILED": "Check --content-type, --metadata and the file's name.",
    "ENCODING_NOT_SUPPORTED": _BUG,
    "CONTENT_TYPE_NOT_MEDIA": "If the file is media all the same: --content-type application/octet-stream.",
    "IDEMPOTENCY_KEY_REUSED": _RESTART,
    "CURSOR_INVALID": _BUG,
    "UPLOAD_NOT_FOUND": "It may have ended: by default, a server deletes the record of an ended upload after one day.",
    "CONTENT_NOT_FOUND": _NONE,
    "THUMBNAIL_NOT_FOUND": _NONE,
    "THUMBNAIL_NOT_MADE": _NONE,
    "PRECONDITION_FAILED": _BUG,
    "RANGE_NOT_SATISFIABLE": _BUG,
    "SEGMENTS_TOO_LARGE_FOR_VOLUME": "The operator of the server can raise SLUICE_TEMP_BUDGET_BYTES, or lower"
    " SLUICE_SEGMENT_BYTES.",
    "FILE_TOO_LARGE_FOR_STORE": "Split the file.",
    "SEGMENT_OUT_OF_RANGE": _BUG,
    "SEGMENT_LENGTH_WRONG": _BUG,
    "SEGMENT_DIGEST_WRONG": "Something between this machine and the server changes the data. " + _CONTINUE,
    "SEGMENT_DIFFERS": "The file has probably changed since the first attempt.",
    "DIGEST_NOT_SUPPORTED": "Try another --digest.",
    "SEGMENT_WINDOW_FULL": _CONTINUE,
    "SEGMENT_STALLED": "The connection may be too slow for this many segments at once: use a lower --concurrency. "
    + _CONTINUE,
    "SEGMENT_CUT_OFF": _CONTINUE,
    "APPEND_OFFSET_WRONG": _NONE,
    "APPEND_TOO_LONG": _NONE,
    "APPEND_TOO_LARGE": _NONE,
    "APPEND_NO_ROOM": _CONTINUE,
    "APPEND_SUPERSEDED": _CONTINUE,
    "APPEND_DIGEST_WRONG": _CONTINUE,
    "APPEND_STALLED": _CONTINUE,
    "APPEND_CUT_OFF": _CONTINUE,
    "TUS_VERSION_NOT_SUPPORTED": _NONE,
    "UPLOAD_HEADER_INVALID": _NONE,
    "UPLOAD_LENGTH_REQUIRED": _NONE,
    "UPLOAD_LENGTH_DIFFERS": _NONE,
    "DEFERRED_TOO_LARGE": _NONE,
    "CONCATENATION_NOT_SUPPORTED": _NONE,
    "CHECKSUM_NOT_SUPPORTED": _NONE,
    "UPLOAD_WAITING": _CONTINUE,
    "IMPORT_NOT_ALLOWED": "The operator of the server can add it to SLUICE_IMPORT_BUCKETS.",
    "IMPORT_OWN_OBJECT": _NONE,
    "IMPORT_OBJECT_MISSING": _NONE,
    "IMPORT_EMPTY": _NONE,
    "TRANSPORT_NOT_OFFERED": _NONE,
    "UPLOAD_COMPLETE": _NONE,
    "SEGMENTS_MISSING": _CONTINUE,
    "SEGMENTS_UNEVEN": _BUG,
    "MULTIPART_REQUIRED": _BUG,
    "EVENTS_OFF": _NONE,
    "EVENTS_TOKEN_WRONG": _NONE,
    "EVENTS_TOPIC_NOT_ALLOWED": _NONE,
    "EVENTS_SIGNATURE_WRONG": _NONE,
    "EVENTS_NOT_VERIFIED": _NONE,
    "TRANSPORT_DIFFERS": _BUG,
    "OBJECT_CHANGED": _NONE,
    "CONTENT_EXISTS": _NONE,
    "CONNECTION_LIMIT": "Close other programs that use this server, or use a lower --concurrency. " + _CONTINUE,
    "STREAM_LIMIT": _CONTINUE,
    "DESCRIPTORS_EXHAUSTED": _SERVER_SIDE,
    "DOWNLOAD_LIMIT": _CONTINUE,
    "REQUEST_LIMIT": _CONTINUE,
    "GATEWAY_BUSY": _CONTINUE,
    "INTERNAL": _SERVER_SIDE,
    "UPLOAD_ENDED": _RESTART,
    "UPLOAD_EXPIRED": _RESTART,
    "UPLOAD_DEADLINE": "The operator of the server can raise SLUICE_UPLOAD_DEADLINE_SECONDS. " + _RESTART,
    "UPLOAD_CANCELLED": _RESTART,
    "NOT_MEDIA": "Sluice accepts only video, image and audio files. Nothing of this file was kept.",
    "MEDIA_TIMEOUT": "The file may be damaged, or too complex.",
    "MEDIA_TOOL_FAILED": "Run `sluice doctor` on the server to check the media reader. " + _RESTART,
    "FILE_DIGEST_WRONG": "The file may have changed while it was being sent.",
    "STORE_UNAVAILABLE": _SERVER_SIDE,
    "STORE_AUTH_FAILED": "Run `sluice doctor` on the server to check the store's credentials.",
    "STORE_REJECTED": "Run `sluice doctor` on the server to check the store.",
    "DELETION_CRASHED": "The deletion is tried again; please report the error.",
    "STORE_OBJECT_MISSING": "It was deleted from the store, but not by Sluice.",
    "SEGMENT_CORRUPT": "The disk of the server's temp volume may be failing. " + _CONTINUE,
    "STORE_SESSION_LOST": _SERVER_SIDE,
    "MANIFEST_REFUSED": _SERVER_SIDE,
    "UPLOAD_RECOVERING": "Run `sluice recover` on the server to restore it. Nothing has to be sent again.",
    "VOLUME_RECOVERING": "Run `sluice recover` on the server.",
    "REDIS_UNAVAILABLE": _SERVER_SIDE,
    "DATABASE_UNAVAILABLE": _SERVER_SIDE,
    "DATABASE_REJECTED": "The server kept what was sent. Run `sluice doctor` on it to check its database.",
    "CACHE_PURGE_FAILED": _SERVER_SIDE,
    "TEMP_VOLUME_FULL": _SERVER_SIDE,
    "TEMP_VOLUME_FAILED": "Run `sluice doctor` on the server to check the temp volume.",
    "TEMP_FILE_MISSING": _RESTART,
    "STAGE_LOST": _SERVER_SIDE,
    "STAGE_TIMEOUT": "The server may be overloaded; it kept what was sent. " + _RESTART,
    "STAGE_CRASHED": "The server's log has the details; it kept what was sent. " + _RESTART,
}


def advice_for(code: str) -> str:
    """The advice; "" where the message needs none, or where the code is unknown because the server is newer."""
    return ADVICE.get(code, "")
