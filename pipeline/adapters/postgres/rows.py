"""Conversions that several repositories need: ids and cursors into query arguments, rows into objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from pipeline.core.digests import crc32c_digest, format_content_digest
from pipeline.core.errors import RequestError
from schemas.content import Content, ContentObject
from schemas.media import MediaMetadata

_MEDIA_COLUMNS = (
    "container_format", "video_codec", "audio_codec", "duration_seconds", "width", "height", "rotation", "bit_rate",
    "frame_rate", "channels", "sample_rate",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def content_uuid(content_id: str) -> UUID:
    """Raises RequestError CONTENT_NOT_FOUND for text that is not a UUID, because no content has such an id."""
    try:
        return UUID(content_id)
    except ValueError:
        raise RequestError("CONTENT_NOT_FOUND", content_id=content_id) from None


def page_position(before: tuple[int, str] | None) -> tuple[datetime | None, UUID | None]:
    """A cursor (microseconds since 1970, id) as query arguments. Raises RequestError CURSOR_INVALID."""
    if before is None:
        return None, None
    microseconds, content_id = before
    try:
        return _EPOCH + timedelta(microseconds=microseconds), UUID(content_id)
    except (ValueError, OverflowError):
        raise RequestError("CURSOR_INVALID") from None


def storable_text(text: str) -> str:
    """`text` without what PostgreSQL cannot store: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def object_of(row: asyncpg.Record, etag: str) -> ContentObject:
    """The content's object. A plain object without a manifest has no rows of segments, but counts as one."""
    return ContentObject(
        store=row["store"],
        container=row["container"],
        key=row["object_key"],
        size_bytes=row["size_bytes"],
        etag=etag,
        segment_count=max(1, row["segment_count"]),
    )


def thumbnail_of(row: asyncpg.Record) -> ContentObject | None:
    return ContentObject.model_validate_json(row["thumbnail"]) if row["thumbnail"] else None


def content_of(row: asyncpg.Record) -> Content:
    """A content, from the columns that `get_content.sql` selects."""
    return Content(
        id=str(row["id"]),
        filename=row["filename"],
        content_type=row["content_type"],
        created_at=row["created_at"],
        kind=row["kind"],
        **{name: row[name] for name in _MEDIA_COLUMNS},
        object=object_of(row, row["etag"]),
        thumbnail=thumbnail_of(row),
        media=MediaMetadata.model_validate_json(row["media"]),
        metadata=json.loads(row["metadata"]),
        owner=row["owner"],
        repr_digest=None if row["crc32c"] is None else format_content_digest(crc32c_digest(row["crc32c"])),
    )
