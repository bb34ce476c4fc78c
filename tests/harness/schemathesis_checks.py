"""Checks that schemathesis loads: no response is a server error, and a valid request is refused only for a reason that
no schema states. The store of the tests may refuse requests on a busy machine, which is neither.
"""

from __future__ import annotations

import re
from typing import Any, Final

import schemathesis

from schemas.digests import CONTENT_DIGEST_PATTERN, MD5_PATTERN

schemathesis.serializer.alias(
    ["application/offset+octet-stream", "application/partial-upload"], "application/octet-stream"
)

_REASONS: Final = {
    "the caller may not": {"ACCESS_DENIED", "IMPORT_NOT_ALLOWED", "PERMIT_EXCEEDED"},
    "it does not exist": {
        *("UPLOAD_NOT_FOUND", "CONTENT_NOT_FOUND", "SEGMENT_OUT_OF_RANGE", "IMPORT_OBJECT_MISSING"),
        *("THUMBNAIL_NOT_FOUND", "THUMBNAIL_NOT_MADE", "EVENTS_OFF", "ROUTE_NOT_FOUND", "WEBHOOK_NOT_FOUND"),
    },
    "its state does not allow it": {
        *("UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_COMPLETE", "UPLOAD_EXPIRED", "UPLOAD_CANCELLED"),
        *("TRANSPORT_DIFFERS", "SEGMENTS_MISSING", "IDEMPOTENCY_KEY_REUSED", "SEGMENT_DIFFERS", "CONTENT_EXISTS"),
        *("SEGMENT_WINDOW_FULL", "IMPORT_OWN_OBJECT", "IMPORT_EMPTY", "OBJECT_CHANGED", "SEGMENTS_UNEVEN"),
    },
    "an earlier response says what is valid": {"CURSOR_INVALID", "SEGMENT_LENGTH_WRONG"},
    "the digest in the request is not that of its body": {"SEGMENT_DIGEST_WRONG", "APPEND_DIGEST_WRONG"},
    "a protocol states it: which headers go together, and with which body": {
        *("TUS_VERSION_NOT_SUPPORTED", "UPLOAD_HEADER_INVALID", "UPLOAD_LENGTH_REQUIRED", "UPLOAD_LENGTH_DIFFERS"),
        *("CHECKSUM_NOT_SUPPORTED", "APPEND_OFFSET_WRONG", "APPEND_TOO_LONG", "APPEND_SUPERSEDED", "APPEND_NO_ROOM"),
    },
    "a precondition or range of the request does not hold": {"PRECONDITION_FAILED", "RANGE_NOT_SATISFIABLE"},
    "a registry says it: types of media": {"CONTENT_TYPE_NOT_MEDIA"},
    "settings and the store say it": {
        *("FILE_TOO_LARGE_FOR_STORE", "SEGMENTS_TOO_LARGE_FOR_VOLUME", "TRANSPORT_NOT_OFFERED", "WEBHOOK_URL_REFUSED"),
    },
    "an option of Uppy says it": {"MULTIPART_REQUIRED"},
    "the store is busy": {"STORE_UNAVAILABLE"},
    "a limit of the owner or the volume": {"QUEUE_FULL", "OWNER_LIMIT", "DAILY_LIMIT", "RATE_LIMITED", "WEBHOOK_LIMIT"},
}
_ALLOWED: Final = frozenset(code for codes in _REASONS.values() for code in codes)


@schemathesis.check
def no_server_error(ctx: Any, response: Any, case: Any) -> None:
    """The code of a 5xx is that of the store."""
    if response.status_code >= 500 and response.json()["error"]["code"] != "STORE_UNAVAILABLE":
        raise AssertionError(f"a server error: {response.text}")


@schemathesis.check
def valid_requests_are_accepted(ctx: Any, response: Any, case: Any) -> None:
    """Names the error code, so that each is reported, which a check of the status alone does not."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if getattr(case.meta.phase.data, "scenario", None) is not None and response.status_code == 405:
        return  # a request with a method that the path does not support
    error = response.json()["error"]
    if error["code"] == "DIGEST_NOT_SUPPORTED" and not _has_valid_digests(case.headers):
        return
    if error["code"] == "CONTENT_TYPE_NOT_SUPPORTED" and case.operation.path.startswith("/files/"):
        return  # each of the two protocols has a media type of its own
    if error["code"] == "VALIDATION_FAILED" and _names_other_cells(error["detail"]["fields"], case.query):
        return
    if error["code"] not in _ALLOWED:
        raise AssertionError(f"a valid request is refused with {error['code']}: {error['message']} {error['detail']}")


def _names_other_cells(fields: list[dict[str, str]], query: Any) -> bool:
    """Of 256 numbers of cells, the installation has one."""
    return all(field["field"] in {"cell", "home"} and str(query.get(field["field"])) != "0" for field in fields)


def _has_valid_digests(headers: Any) -> bool:
    """schemathesis sends headers that do not match their pattern where it cannot generate one that does; and two
    digests of one body that contradict each other."""
    md5, digests = headers.get("Content-MD5"), headers.get("Content-Digest")
    if md5 and digests and "md5=" in digests:
        return False
    return all(
        re.fullmatch(pattern, text) for pattern, text in ((MD5_PATTERN, md5), (CONTENT_DIGEST_PATTERN, digests)) if text
    )
