"""A content, as the API and the database adapter return it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas import examples
from schemas.media import MediaMetadata


class ContentObject(BaseModel):
    """The location of an object in a store."""

    model_config = ConfigDict(frozen=True)

    store: str = Field(description="Name of the store: swift, s3 or filesystem")
    container: str = Field(description="Container or bucket")
    key: str = Field(description="Object name in the container")
    size_bytes: int = Field(ge=0)
    etag: str = Field(description="The store's ETag of the object, unquoted: it identifies this version of the object")
    segment_count: int = Field(ge=1, description="1: a plain object; more: a manifest of that many segments")


class Content(BaseModel):
    """A stored object, its metadata and its thumbnail. Its id is the id of the upload that it came from."""

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str = Field("default", description="The owner: the name to which it belongs")
    filename: str
    content_type: str
    created_at: datetime
    kind: str = Field(description="video, image or audio")
    # From here to sample_rate: values of `media` by which lists are filtered and sorted. Null: unknown or none.
    container_format: str | None = Field(None, description="The file's format: mp4, webm, matroska, mp3, jpeg, ...")
    video_codec: str | None = Field(
        None,
        description="Codec of the picture: h264, vp9, ...; images have one too; cover art of a song does not count",
    )
    audio_codec: str | None = Field(None, description="Codec of the default audio stream, else of the first one")
    duration_seconds: float | None = Field(None, description="Duration; null for a still image")
    width: int | None = Field(None, description="Width of the picture as displayed, in pixels")
    height: int | None = Field(None, description="Height of the picture as displayed, in pixels")
    rotation: int | None = Field(None, description="Degrees clockwise by which the picture is turned for display")
    bit_rate: int | None = Field(None, description="Bits per second of the whole file")
    frame_rate: float | None = Field(None, description="Frames per second, with six decimals: 29.97003 for 30000/1001")
    channels: int | None = Field(None, description="Number of channels of the audio stream")
    sample_rate: int | None = Field(None, description="Samples per second of the audio stream, Hz")
    object: ContentObject
    thumbnail: ContentObject | None
    media: MediaMetadata
    metadata: dict[str, str] = Field(description="Sent by the client when it created the upload")
    repr_digest: str | None = Field(
        None,
        description="Digest of the whole file, `crc32c=:BASE64:`, as Repr-Digest (RFC 9530) of its download says it. "
        "Null: not known, for direct uploads and imports of which the store keeps none, and for contents of earlier "
        "releases",
        examples=["crc32c=:4waSgw==:"],
    )


class ObjectView(ContentObject):
    """An object as the API shows it."""

    digest: str | None = Field(
        description="Digest of the object's bytes in the form of Content-Digest (RFC 9530), `md5=:BASE64:`. Null for a "
        "manifest, whose segments have digests, for imported objects, and where the store's ETags are no digests",
        examples=["md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"],
    )


class ContentLinks(BaseModel):
    """Absolute URLs."""

    model_config = ConfigDict(frozen=True)

    self: str = Field(description="The content: GET shows it, DELETE deletes it")
    download: str = Field(description="GET downloads it")
    segments: str = Field(description="GET lists its segments, with a URL for each")
    segment: str = Field(description="GET downloads one segment; replace `{number}` with its number")
    thumbnail: str | None = Field(description="GET shows its thumbnail; null if it has none")
    receipt: str | None = Field(None, description="GET issues a receipt; null where receipts are not offered")
    links: str | None = Field(
        None, description="POST issues links: URLs that download the content and its thumbnail without a key"
    )


class ContentView(Content):
    """A content as the API shows it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONTENT]})

    object: ObjectView
    thumbnail: ObjectView | None
    links: ContentLinks
