"""Conversions that both repositories need: ids and cursors into query arguments, rows into objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from pipeline.core.errors import RequestError
from schemas.content import ContentObject

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
