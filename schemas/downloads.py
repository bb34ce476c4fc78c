"""A content's manifest as the API shows it: everything that a client needs to fetch the segments itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas import examples


class SegmentDownload(BaseModel):
    """One segment, with the URL of its bytes."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(ge=1, description="From 1; the file is the concatenation of its segments in this order")
    offset: int = Field(ge=0, description="Offset of its first byte in the file")
    size: int = Field(ge=0, description="Bytes")
    etag: str = Field(description="The store's ETag of it, unquoted")
    digest: str | None = Field(
        description="Digest of these bytes in the form of Content-Digest (RFC 9530), `md5=:BASE64:` or, where "
        "the store's ETags are no digests (SSE-KMS), `crc32c=:BASE64:`. Null where neither is known: imported objects",
        examples=["md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"],
    )
    url: str = Field(description="GET with `headers` returns exactly these bytes with status 200 or 206")
    headers: dict[str, str] = Field(
        description="Headers to send with the GET; without its Range, a URL of the whole object returns more bytes"
    )


class SegmentManifest(BaseModel):
    """A page of a content's manifest: up to 1,000 segments in order."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.SEGMENTS]})

    content_id: str
    size: int = Field(ge=0, description="Bytes in the whole file")
    etag: str = Field(description="The store's ETag of the whole object, unquoted")
    segment_count: int = Field(ge=1)
    expires_at: datetime | None = Field(
        description="When the URLs expire; null: they lead to the gateway and do not expire"
    )
    segments: list[SegmentDownload]
    next_first: int | None = Field(description="`first` of the next page; null on the last one")
