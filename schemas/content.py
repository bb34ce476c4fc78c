"""A content, as the API and the database adapter return it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas.media import MediaMetadata


class ContentObject(BaseModel):
    """The location of an object in a store."""

    model_config = ConfigDict(frozen=True)

    store: str = Field(description="Name of the store: swift, s3 or filesystem")
    container: str = Field(description="Container or bucket")
    key: str = Field(description="Object name in the container")
    size_bytes: int = Field(ge=0)
    etag: str = Field(
        description="The store's own digest of the object, unquoted (for a Swift SLO: MD5 over its segments' MD5s)"
    )
    segment_count: int = Field(ge=1, description="1: a plain object; more: a manifest of that many segments")


class Content(BaseModel):
    """A stored object, its metadata and its thumbnail. Its id is the id of the upload that it came from."""

    model_config = ConfigDict(frozen=True)

    id: str
    filename: str
    content_type: str
    created_at: datetime
    kind: str = Field(description="video, image or audio")
    object: ContentObject
    thumbnail: ContentObject | None
    media: MediaMetadata
    metadata: dict[str, str] = Field(description="Sent by the client when it created the upload")
