"""Content metadata in PostgreSQL: `ports.ContentRepository`.

Guarantee: a content is written in one transaction, a second call finds the first one's row, and one that was deleted
does not come back by a late second call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.core.errors import RequestError
from pipeline.core.model import ContentRecord, ObjectVersion, StoredObject, StoredSegment
from schemas.content import Content, ContentObject
from schemas.media import MediaMetadata

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PostgresContentRepository:
    """Implements `ports.ContentRepository` over a pool of its own, as `LazyPool` has it."""

    def __init__(self, database_url: str, connections: int, *, migrates: bool = False) -> None:
        self.pool = LazyPool(database_url, connections, migrates=migrates)
        self._was_left = query("was_deleted")
        self._insert = query("insert_content")
        self._insert_segments = query("insert_segments")
        self._get = query("get_content")
        self._get_segments = query("get_segments")
        self._page = query("page_contents")
        self._delete = query("delete_content")
        self._of_object = query("find_object")

    async def close(self) -> None:
        self.pool.terminate()

    async def save(self, record: ContentRecord) -> Content:
        media = MediaMetadata.model_validate(record.media)
        width, height = _dimensions(media)
        content_id = UUID(record.content_id)
        segments = record.stored.segments
        async with self.pool.connection() as connection, connection.transaction():
            written = await connection.fetchval(
                self._insert,
                content_id,
                record.filename,
                record.content_type,
                media.kind,
                record.stored.size_bytes,
                media.duration_seconds,
                width,
                height,
                record.stored.store,
                record.stored.container,
                record.stored.key,
                record.stored.etag,
                None if record.thumbnail is None else json.dumps(_object(record.thumbnail).model_dump()),
                media.model_dump_json(),
                json.dumps(dict(record.metadata)),
            )
            if written is not None:
                # A new statement sees what was deleted while the insert waited for that very row to go.
                if await connection.fetchval(self._was_left, content_id):
                    raise RequestError("CONTENT_NOT_FOUND", content_id=record.content_id)
                await connection.execute(
                    self._insert_segments,
                    content_id,
                    [item.number for item in segments],
                    [item.size_bytes for item in segments],
                    [item.etag for item in segments],
                )
        try:
            return await self.get(record.content_id)
        except RequestError as error:  # nothing was written because of another content's row
            raise RequestError("CONTENT_EXISTS", key=record.stored.key) from error

    async def get(self, content_id: str) -> Content:
        try:
            key = UUID(content_id)
        except ValueError:
            raise RequestError("CONTENT_NOT_FOUND", content_id=content_id) from None
        async with self.pool.connection() as connection:
            row = await connection.fetchrow(self._get, key)
        if row is None:
            raise RequestError("CONTENT_NOT_FOUND", content_id=content_id)
        return _content(row)

    async def of_object(self, store: str, version: ObjectVersion) -> Content | None:
        async with self.pool.connection() as connection:
            row = await connection.fetchrow(self._of_object, store, version.container, version.key, version.etag)
        return None if row is None else _content(row)

    async def page(self, kind: str | None, before: tuple[int, str] | None, limit: int) -> Sequence[Content]:
        moment = _EPOCH + timedelta(microseconds=before[0]) if before else None
        try:
            last = UUID(before[1]) if before else None
        except ValueError:
            raise RequestError("CURSOR_INVALID") from None
        async with self.pool.connection() as connection:
            return [_content(row) for row in await connection.fetch(self._page, kind, moment, last, limit)]

    async def segments(self, content_id: str) -> Sequence[StoredSegment]:
        async with self.pool.connection() as connection:
            rows = await connection.fetch(self._get_segments, UUID(content_id))
        return [StoredSegment(row["number"], row["size_bytes"], row["etag"]) for row in rows]

    async def delete(self, content_id: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(self._delete, UUID(content_id))

    async def check(self) -> None:
        """Raises DependencyUnavailable when the database cannot be used now."""
        async with self.pool.connection() as connection:
            await connection.fetchval("SELECT 1 FROM contents LIMIT 1")


def _dimensions(media: MediaMetadata) -> tuple[int | None, int | None]:
    """Size of the picture that stands for the file, as displayed; a cover is not what the file is."""
    picture = media.picture
    return (None, None) if picture is None or picture.attached_picture else (picture.width, picture.height)


def _object(stored: StoredObject) -> ContentObject:
    fields = {key: value for key, value in asdict(stored).items() if key != "segments"}
    return ContentObject(**fields, segment_count=max(1, len(stored.segments)))


def _content(row: asyncpg.Record) -> Content:
    return Content(
        id=str(row["id"]),
        filename=row["filename"],
        content_type=row["content_type"],
        created_at=row["created_at"],
        kind=row["kind"],
        object=ContentObject(
            store=row["store"],
            container=row["container"],
            key=row["object_key"],
            size_bytes=row["size_bytes"],
            etag=row["etag"],
            segment_count=max(1, row["segment_count"]),
        ),
        thumbnail=ContentObject.model_validate_json(row["thumbnail"]) if row["thumbnail"] else None,
        media=MediaMetadata.model_validate_json(row["media"]),
        metadata=json.loads(row["metadata"]),
    )
