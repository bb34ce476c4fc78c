"""Examples of webhooks: a backend is notified of the upload of `schemas.examples`."""

from __future__ import annotations

from typing import Final

from schemas.examples import CONTENT, EXAMPLE_ID, PENDING_DELETION, Example

_ID: Final = "7f0f9c6e-2f5b-4a58-9df2-0d9b2f3f1c55"
_URL: Final = "https://backend.example.com/sluice"

SECRET: Final = "whsec_MfKQ9r8G...vC3nTg="  # noqa: S105  # no secret: it is cut

WEBHOOK_REQUEST: Final[Example] = {
    "url": _URL,
    "events": ["content.ready", "upload.failed", "upload.expired"],
    "note": "video platform",
}

WEBHOOK: Final[Example] = {
    "id": _ID,
    "owner": "studio",
    "url": _URL,
    "events": ["content.ready", "upload.failed", "upload.expired"],
    "note": "video platform",
    "created_at": "2026-11-20T09:00:00Z",
    "state": "active",
    "pause_reason": None,
    "failures": 0,
    "failing_since": None,
    "last_error": None,
    "last_success_at": "2026-11-27T11:24:00Z",
    "pending": 0,
    "previous_secret_until": None,
}

DELIVERY: Final[Example] = {
    "id": 4711,
    "event_id": f"{EXAMPLE_ID}_content-ready",
    "type": "content.ready",
    "upload_id": EXAMPLE_ID,
    "state": "delivered",
    "attempts": 1,
    "created_at": "2026-11-27T11:23:58.120Z",
    "due_at": None,
    "finished_at": "2026-11-27T11:23:58.310Z",
    "status": 204,
    "error": None,
}

TEST_DELIVERY: Final[Example] = {
    **DELIVERY,
    "id": 4712,
    "event_id": "3f0a3c0e-8a5e-4b0f-9d55-5f7f0c1e2a44_webhook-test",
    "type": "webhook.test",
    "upload_id": "3f0a3c0e-8a5e-4b0f-9d55-5f7f0c1e2a44",
    "state": "pending",
    "attempts": 0,
    "due_at": "2026-11-27T11:23:58.120Z",
    "finished_at": None,
    "status": None,
}

MEDIA: Final[Example] = CONTENT["media"]

UPLOAD_FACTS: Final[Example] = {
    "upload_id": EXAMPLE_ID,
    "owner": CONTENT["owner"],
    "filename": CONTENT["filename"],
    "size_bytes": CONTENT["object"]["size_bytes"],
    "content_type": CONTENT["content_type"],
    "metadata": CONTENT["metadata"],
    "error_code": None,
    "error": None,
}

FAILED_FACTS: Final[Example] = {
    **UPLOAD_FACTS,
    "error_code": "NOT_MEDIA",
    "error": "The file is not a video, an image or a sound.",
}

EXPIRED_FACTS: Final[Example] = {**UPLOAD_FACTS, "error_code": "UPLOAD_EXPIRED", "error": "The upload has expired."}

MEDIA_FACTS: Final[Example] = {**UPLOAD_FACTS, "media": MEDIA}


def _object(shown: Example) -> Example:
    return {name: value for name, value in shown.items() if name != "digest"}


CONTENT_FACTS: Final[Example] = {
    "upload_id": EXAMPLE_ID,
    "owner": CONTENT["owner"],
    "content": {
        **{name: value for name, value in CONTENT.items() if name != "links"},
        "object": _object(CONTENT["object"]),
        "thumbnail": _object(CONTENT["thumbnail"]),
    },
}

DELETION_FACTS: Final[Example] = {
    "upload_id": EXAMPLE_ID,
    "owner": CONTENT["owner"],
    "content_type": PENDING_DELETION["content_type"],
    "size_bytes": PENDING_DELETION["object"]["size_bytes"],
}

EVENT: Final[Example] = {
    "type": "upload.admitted",
    "timestamp": "2026-11-27T11:23:46.012Z",
    "data": UPLOAD_FACTS,
}
