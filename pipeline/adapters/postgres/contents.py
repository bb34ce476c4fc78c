"""Content metadata in PostgreSQL: `ports.ContentRepository`.

Guarantee: a content is written in one transaction. A second `save` returns the row of the first one. A late second
`save` does not recreate a content that was deleted in the meantime.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.content_events import record_ready
from pipeline.adapters.postgres.content_list import statements
from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.adapters.postgres.rows import content_of, content_uuid
from pipeline.core.errors import RequestError
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import ObjectVersion, Place, StoredObject, StoredSegment
from pipeline.ports.contents import ContentPosition
from schemas.content import Content, ContentObject
from schemas.content_list import ContentFilters
from schemas.media import MediaMetadata

_NOT_OF_THE_ROW = frozenset({"segments", "content_type", "crc32c"})
"""Fields of a stored object that `ContentObject` does not have."""


class PostgresContentRepository:
    """Implements `ports.ContentRepository` with its own pool. Parameters: see `LazyPool`."""

    def __init__(self, database_url: str, connections: int, *, migrates: bool = False) -> None:
        self.pool = LazyPool(database_url, connections, migrates=migrates)
        self._was_deleted = query("was_deleted")
        self._insert = query("insert_content")
        self._insert_segments = query("insert_segments")
        self._get = query("get_content")
        self._get_segments = query("get_segments")
        self._delete = query("delete_content")
        self._of_object = query("find_object")

    async def close(self) -> None:
        self.pool.terminate()

    async def save(self, record: ContentRecord) -> Content:
        media = MediaMetadata.model_validate(record.media)
        width, height = media.dimensions
        content_id = UUID(record.content_id)
        segments = record.stored.segments
        async with self.pool.connection() as connection:
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
                record.owner,
                record.stored.crc32c,
            )
            if written is not None:
                # A new statement sees a deletion that was committed while the insert waited for the deleted row's lock.
                if await connection.fetchval(self._was_deleted, content_id):
                    raise RequestError("CONTENT_NOT_FOUND", content_id=record.content_id)
                await connection.execute(
                    self._insert_segments,
                    content_id,
                    [item.number for item in segments],
                    [item.size_bytes for item in segments],
                    [item.etag for item in segments],
                    [UUID(item.place.upload_id) if item.place else None for item in segments],
                    [item.place.number if item.place else None for item in segments],
                    [item.crc32c for item in segments],
                )
            row = await connection.fetchrow(self._get, content_id, None)
            if row is None:  # the insert conflicted with the row of another content
                raise RequestError("CONTENT_EXISTS", key=record.stored.key)
            content = content_of(row)
            if written is not None:
                await record_ready(connection, content, record)
            return content

    async def get(self, content_id: str, owner: str | None) -> Content:
        key = content_uuid(content_id)
        async with self.pool.connection() as connection:
            row = await connection.fetchrow(self._get, key, owner)
            if row is None:
                raise RequestError("CONTENT_NOT_FOUND", content_id=content_id)
            return content_of(row)

    async def of_object(self, store: str, version: ObjectVersion) -> Content | None:
        async with self.pool.connection() as connection:
            row = await connection.fetchrow(self._of_object, store, version.container, version.key, version.etag)
            return None if row is None else content_of(row)

    async def page(
        self, filters: ContentFilters, sort: str, after: ContentPosition | None, limit: int
    ) -> Sequence[Content]:
        found: list[asyncpg.Record] = []
        async with self.pool.connection() as connection:
            for text, arguments in statements(filters, sort, after):
                if len(found) < limit:
                    found += await connection.fetch(text, limit - len(found), *arguments)
            return [content_of(row) for row in found]

    async def segments(self, content_id: str) -> Sequence[StoredSegment]:
        async with self.pool.connection() as connection:
            rows = await connection.fetch(self._get_segments, UUID(content_id))
        return [
            StoredSegment(row["number"], row["size_bytes"], row["etag"], _place(row), row["crc32c"]) for row in rows
        ]

    async def delete(self, content_id: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(self._delete, UUID(content_id))


def _place(row: asyncpg.Record) -> Place | None:
    return None if row["stored_as"] is None else Place(str(row["stored_as"]), row["stored_number"])


def _object(stored: StoredObject) -> ContentObject:
    fields = {key: value for key, value in asdict(stored).items() if key not in _NOT_OF_THE_ROW}
    return ContentObject(**fields, segment_count=max(1, len(stored.segments)))
