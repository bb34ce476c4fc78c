"""An upload to be registered, with what does not matter to a test filled in."""

from __future__ import annotations

from typing import Any

from uuid6 import uuid7

from pipeline.core.model import NewUpload


def new_upload(**more: Any) -> NewUpload:
    """`more` are fields of `NewUpload`."""
    fields: dict[str, Any] = {
        "upload_id": str(uuid7()),
        "filename": "holiday.mp4",
        "size_bytes": 25,
        "segment_bytes": 10,
        "content_type": "video/mp4",
        "volume": "local",
        "store": "swift",
        "digest": None,
        "metadata": {},
        "idempotency_key": None,
        "fingerprint": "",
    }
    return NewUpload(**fields | more)
