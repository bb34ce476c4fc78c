"""Uploads as the gateway shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.uploads import UploadLinks, UploadView

MIB = 1024 * 1024
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def upload_view(count: int = 8, **changes: object) -> UploadView:
    """One of `count` segments of 1 MiB, none of which has arrived."""
    plain = UploadView(
        id="u",
        owner="default",
        status="receiving",
        queue_position=None,
        filename="film.mp4",
        size=count * MIB,
        content_type="video/mp4",
        metadata={},
        segment_size=MIB,
        segment_count=count,
        bytes_received=0,
        bytes_stored=0,
        missing_segments=[(1, count)],
        stages={},
        error=None,
        content_id=None,
        created_at=CREATED,
        updated_at=CREATED,
        expires_at=None,
        links=UploadLinks(self="", events="", tickets="", segment="", content=None),
    )
    return plain.model_copy(update=changes)
