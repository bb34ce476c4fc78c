"""The errors of Uppy's routes: their codes, by what a route does, and their form."""

from __future__ import annotations

from aiohttp import web

from gateway.error_codes import JSON_BODY_ERRORS, STORE_ERRORS, UPLOAD_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http.envelope import REQUEST_ID, plain_failure
from gateway.http.paths import without_tokens
from gateway.routing import ErrorForm
from pipeline.core.errors import SluiceError
from schemas.http import PlainFailure

_SIZE = ("FILE_TOO_LARGE_FOR_OWNER", "OWNER_LIMIT", "DAILY_LIMIT", "RATE_LIMITED", "PERMIT_EXCEEDED")
"""Of the size of a file, which is checked again as more of it is known."""

CREATION = (
    *JSON_BODY_ERRORS,
    *("MULTIPART_REQUIRED", "CONTENT_TYPE_NOT_MEDIA", "FILE_TOO_LARGE_FOR_STORE", "TRANSPORT_NOT_OFFERED"),
    *("VOLUME_RECOVERING", "VOLUME_DRAINING", "QUEUE_FULL"),
    *_SIZE,
    *STORE_ERRORS,
    *UPLOAD_ERRORS,
)
UPLOAD = (*UPLOAD_LOOKUP_ERRORS, "UPLOAD_ENDED", "TRANSPORT_DIFFERS", "TRANSPORT_NOT_OFFERED", *STORE_ERRORS)
SIGNING = (*UPLOAD, *_SIZE, "VALIDATION_FAILED", "UPLOAD_COMPLETE", "SEGMENT_OUT_OF_RANGE")
COMPLETION = (
    *JSON_BODY_ERRORS,
    *UPLOAD,
    *_SIZE,
    *("SEGMENTS_MISSING", "SEGMENTS_UNEVEN", "FILE_TOO_LARGE_FOR_STORE"),
    *("STORE_OBJECT_MISSING", "MANIFEST_REFUSED"),
)


def _respond(request: web.Request, error: SluiceError) -> web.Response:
    return plain_failure(error, without_tokens(request.path), request[REQUEST_ID])


PLAIN = ErrorForm(_respond, model=PlainFailure)
"""Uppy shows the member `message` of an error, and does not know the envelope."""
