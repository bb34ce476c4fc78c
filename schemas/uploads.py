"""Uploads as the API takes and shows them. Sizes are bytes, times RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# PostgreSQL holds every character of Unicode but NUL.
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
MetadataValue = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00]*$")]


SegmentNumber = Annotated[int, Field(ge=1, le=999_999_999, strict=True)]


class CreateUpload(BaseModel):
    """Body of `POST /v1/uploads`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filename: str = Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/\\]+$", examples=["holiday.mp4"])
    size: int = Field(ge=1, le=2**53 - 1, strict=True, description="Bytes in the whole file")
    content_type: str = Field(
        max_length=127, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", examples=["video/mp4"]
    )
    digest: str | None = Field(
        default=None,
        max_length=200,
        description="Digest of the whole file (RFC 9530), `sha-256=:BASE64:`; checked before the content is `ready`",
        examples=["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"],
    )
    transport: Literal["gateway", "direct", "token"] = Field(
        "gateway",
        description="gateway: segments are sent here; direct: to the store itself, by the grants that the answer has; "
        "token: likewise, with a lent token of the store (off unless the operator has set it up)",
    )
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default_factory=dict, max_length=32, description="Kept with the content, not interpreted"
    )


class StageView(BaseModel):
    """One stage of an upload."""

    model_config = ConfigDict(frozen=True)

    state: str = Field(description="pending, queued, running, idle, done, skipped, failed or stopped")
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None


class UploadError(BaseModel):
    """Why an upload ended otherwise than `ready`."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class UploadLinks(BaseModel):
    """Absolute URLs. `segment` is a template: put the number in place of `{number}`."""

    model_config = ConfigDict(frozen=True)

    self: str
    events: str
    segment: str
    content: str | None


class SegmentGrantView(BaseModel):
    """The right to send one segment: `method` on `url`, with `headers`, the segment's `size` bytes as the body."""

    model_config = ConfigDict(frozen=True)

    number: int
    size: int
    method: str
    url: str
    headers: dict[str, str]


class GrantsView(BaseModel):
    """Rights to send segments to the store itself. Whoever has such a URL may use it, until it expires."""

    model_config = ConfigDict(frozen=True)

    expires_in: int = Field(description="Seconds")
    segments: list[SegmentGrantView]
    token: str | None = Field(
        None, description="Transport `token`: the X-Auth-Token, which reaches as far as its user's role; keep it secret"
    )
    storage_url: str | None = Field(None, description="Transport `token`: the account that the token opens")
    more: list[tuple[int, int]] = Field(
        description="Inclusive ranges that were asked for but are too many for one answer: ask again for these"
    )


class UploadView(BaseModel):
    """An upload: what it is, how far it has come, what is still needed."""

    model_config = ConfigDict(frozen=True)

    id: str
    status: str = Field(
        description="granted, waiting, admitted, receiving, processing, ready, failed, expired or cancelled"
    )
    queue_position: int | None = Field(description="Place in the queue from 1 while `waiting`, else null")
    filename: str
    size: int
    content_type: str
    transport: str = Field("gateway", description="How its bytes come in: gateway, import, direct or token")
    metadata: dict[str, str]
    segment_size: int = Field(description="Bytes in every segment but the last, which may be shorter")
    segment_count: int
    bytes_received: int = Field(description="Bytes that lie on the temp volume")
    bytes_stored: int = Field(description="Bytes that the object store has acknowledged")
    missing_segments: list[tuple[int, int]] = Field(description="Inclusive ranges of numbers still to be sent")
    stages: dict[str, StageView]
    error: UploadError | None
    content_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = Field(
        description="When it expires unless another segment comes; null once every byte is here or it has ended"
    )
    links: UploadLinks
    grants: GrantsView | None = Field(
        None, description="In the answer to a creation with transport `direct`: how to send the first segments"
    )


class GrantsWanted(BaseModel):
    """Body of `POST /v1/uploads/{id}/grants`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: list[tuple[SegmentNumber, SegmentNumber]] = Field(
        min_length=1, max_length=1000, description="Inclusive ranges of segment numbers", examples=[[[101, 200]]]
    )


class SegmentView(BaseModel):
    """A segment that is here. `repeated`: it was here before."""

    model_config = ConfigDict(frozen=True)

    number: int
    size: int
    crc32c: str = Field(description="CRC-32C (RFC 3720) of the bytes, 8 hex digits")
    repeated: bool
    upload_status: str
