"""Error codes that several routes have in common, grouped by their cause.

What a dependency can raise is listed once, here. A route composes its errors of these groups. A test compares each
route with what its handler calls, and every response with a code that its route does not list is logged
(`response.undocumented`), which fails the tests.
"""

from __future__ import annotations

ANY_TYPE_BODY_ERRORS = (
    "BODY_NOT_JSON",
    "BODY_TOO_LARGE",
    "BODY_TIMEOUT",
    "ENCODING_NOT_SUPPORTED",
    "VALIDATION_FAILED",
)
"""Of a JSON body with any Content-Type."""

JSON_BODY_ERRORS = (*ANY_TYPE_BODY_ERRORS, "CONTENT_TYPE_NOT_SUPPORTED")
"""Of a JSON body."""

LIST_ERRORS = ("VALIDATION_FAILED", "CURSOR_INVALID")
"""Of the query of a paginated list."""

REDIS_ERRORS = ("REDIS_UNAVAILABLE",)

DATABASE_ERRORS = ("DATABASE_UNAVAILABLE", "DATABASE_REJECTED")

STORE_ERRORS = ("STORE_UNAVAILABLE", "STORE_AUTH_FAILED", "STORE_REJECTED")
"""Of a request to the object store."""

TEMP_VOLUME_ERRORS = ("TEMP_VOLUME_FULL", "TEMP_VOLUME_FAILED", "DESCRIPTORS_EXHAUSTED")

UPLOAD_ERRORS = ("UPLOAD_RECOVERING", *REDIS_ERRORS, *TEMP_VOLUME_ERRORS)
"""Of the record of an upload: its entry in Redis and its journal on the temp volume, which is read where Redis does not
know the upload."""

UPLOAD_LOOKUP_ERRORS = ("UPLOAD_NOT_FOUND", *UPLOAD_ERRORS)
"""Of the upload named in the path."""

CONTENT_LOOKUP_ERRORS = ("CONTENT_NOT_FOUND", *DATABASE_ERRORS)
"""Of the content named in the path."""

WEBHOOK_LOOKUP_ERRORS = ("WEBHOOK_NOT_FOUND", *DATABASE_ERRORS)
"""Of the webhook named in the path."""

LIMIT_ERRORS = ("QUEUE_FULL", "OWNER_LIMIT", "DAILY_LIMIT", "FILE_TOO_LARGE_FOR_OWNER", "RATE_LIMITED")
"""Of the limits for new uploads."""

REGISTRATION_ERRORS = ("VOLUME_RECOVERING", "VOLUME_DRAINING", *LIMIT_ERRORS, *UPLOAD_ERRORS)
"""Of registering a new upload or import."""
