"""Error codes that several routes have in common, grouped by their cause."""

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

UPLOAD_LOOKUP_ERRORS = ("UPLOAD_NOT_FOUND", "UPLOAD_RECOVERING", "REDIS_UNAVAILABLE")
"""Of the upload named in the path."""

CONTENT_LOOKUP_ERRORS = ("CONTENT_NOT_FOUND", "DATABASE_UNAVAILABLE")
"""Of the content named in the path."""

TEMP_VOLUME_ERRORS = ("TEMP_VOLUME_FULL", "TEMP_VOLUME_FAILED")

REGISTRATION_ERRORS = ("VOLUME_RECOVERING", "UPLOAD_RECOVERING", "REDIS_UNAVAILABLE", *TEMP_VOLUME_ERRORS)
"""Of registering a new upload or import."""

STORE_ERRORS = ("STORE_UNAVAILABLE", "STORE_AUTH_FAILED", "STORE_REJECTED")
"""Of a request to the object store."""
