"""Uploads: requests and responses of the API. Sizes are in bytes, times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import examples
from schemas.cells import UnreachableCells
from schemas.digests import DIGEST_PATTERN
from schemas.http import Page
from schemas.media import MediaMetadata
from schemas.media_types import UNKNOWN, MediaType
from schemas.metadata import FILENAME_EXCLUDED, Metadata
from schemas.numbers import WHOLE

SegmentNumber = Annotated[int, Field(ge=1, le=999_999_999, strict=True), WHOLE]


class CreateUpload(BaseModel):
    """Body of `POST /v1/uploads`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [examples.CREATE_UPLOAD]})

    filename: str = Field(
        min_length=1,
        max_length=255,
        pattern=f"^[^{FILENAME_EXCLUDED}]+$",
        description="Without control characters, line separators, characters that change the direction of text, "
        "slashes and backslashes",
        examples=["holiday.mp4"],
    )
    size: Annotated[int, Field(ge=1, le=2**53 - 1, strict=True), WHOLE] = Field(description="Bytes in the whole file")
    content_type: MediaType = UNKNOWN
    digest: str | None = Field(
        default=None,
        max_length=200,
        json_schema_extra={"pattern": DIGEST_PATTERN},
        description="Digest of the whole file (RFC 9530), `sha-256=:BASE64:`, md5 or crc32c; checked before the "
        "content is `ready`",
        examples=["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"],
    )
    transport: Literal["gateway", "direct", "token"] = Field(
        "gateway",
        description="`gateway`: segments are sent to the gateway. `direct`: to the store itself, with the grants in "
        "the response. `token`: to the store itself, with a delegated token (only if the operator has configured it)",
    )
    metadata: Metadata = Field(default_factory=dict)


class StageView(BaseModel):
    """One stage of an upload."""

    model_config = ConfigDict(frozen=True)

    state: str = Field(description="pending, queued, running, idle, done, skipped, failed or stopped")
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None


class UploadError(BaseModel):
    """Why an upload ended without becoming `ready`."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class UploadLinks(BaseModel):
    """Absolute URLs of the requests that apply to this upload now; null: does not apply to its transport or status."""

    model_config = ConfigDict(frozen=True)

    self: str = Field(description="The upload: GET shows it, DELETE cancels it")
    events: str = Field(description="GET follows it")
    tickets: str | None = Field(
        None, description="POST issues a ticket: a URL of the event stream for EventSource, which cannot send headers"
    )
    thumbnail: str | None = Field(
        None,
        description="GET shows the thumbnail as soon as stage `thumbnail` is `done`. Null once the upload has ended "
        "without becoming `ready`",
    )
    segment: str | None = Field(
        None,
        description="Transport `gateway`: PUT sends a segment; replace `{number}` with its number. Null once the "
        "upload has ended",
    )
    grants: str | None = Field(
        None, description="Transport `direct` or `token`: POST requests more grants, while the upload is `granted`"
    )
    complete: str | None = Field(
        None,
        description="Transport `direct` or `token`: POST reports that every segment was sent. Null once the upload has "
        "ended",
    )
    content: str | None = Field(None, description="The content, once the upload is `ready`")


class SegmentGrantView(BaseModel):
    """The right to send one segment: `method` on `url`, with `headers` and the segment's `size` bytes as the body."""

    model_config = ConfigDict(frozen=True)

    number: int
    size: int
    method: str
    url: str
    headers: dict[str, str]


class GrantsView(BaseModel):
    """Grants to send segments to the store itself. Anyone who has such a URL may use it until it expires."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.GRANTS]})

    expires_in: int = Field(description="Seconds until the grants expire")
    segments: list[SegmentGrantView]
    token: str | None = Field(
        None, description="Transport `token`: the X-Auth-Token, with all rights of its user's role; keep it secret"
    )
    storage_url: str | None = Field(None, description="Transport `token`: URL of the account that the token is for")
    more: list[tuple[int, int]] = Field(
        description="Inclusive ranges that did not fit into this response: request them next"
    )


class UploadToken(BaseModel):
    """A token that permits sending, following and cancelling one upload, and reading the content that it becomes."""

    model_config = ConfigDict(frozen=True)

    token: str = Field(repr=False, description="Send it as `Authorization: Bearer`")
    expires_at: datetime


class UploadView(BaseModel):
    """An upload: its description, its progress and what is still missing."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.UPLOAD]})

    id: str
    owner: str = Field("default", description="The owner: the name to which it belongs")
    status: str = Field(
        description="granted, waiting, admitted, receiving, processing, ready, failed, expired or cancelled; of a "
        "partial upload (tus), `held` until a final upload names it, and `joined` then"
    )
    queue_position: int | None = Field(description="Position in the queue, from 1, while `waiting`; else null")
    filename: str
    size: int = Field(
        description="Bytes in the whole file. Of an upload by Uppy's S3 plugin that is `granted`, and whose client has "
        "not announced the size: the least that is known, which grows with each part whose URL is signed; at first 0"
    )
    content_type: str
    transport: str = Field(
        "gateway",
        description="How its bytes are sent: gateway, import, direct or token; with tus also "
        "partial (a part of a file) or final (a file that consists of partial uploads)",
    )
    metadata: dict[str, str]
    digest: str | None = Field(
        None, description="Digest of the whole file as the client announced it (RFC 9530), `sha-256=:BASE64:`"
    )
    segment_size: int = Field(
        description="Bytes in every segment except the last, which may be shorter. Of an upload by Uppy's S3 plugin "
        "that is `granted`: the shortest that its parts can be. The plugin decides their length; completion sets it"
    )
    segment_count: int = Field(
        description="How many segments there are. While `deferred`: the highest number that is possible; of an upload "
        "by Uppy's S3 plugin, one more than the highest part whose URL was signed"
    )
    deferred: Literal["plan", "size", "length"] | None = Field(
        None,
        description="What is not known yet; null: nothing. `plan`: how long segments are (Uppy's S3 plugin). `size`: "
        "that, and the size. `length`: the size (tus). Where the size is not known, `size` is what is counted of it so "
        "far. In all three cases `missing_segments` is empty",
    )
    bytes_received: int = Field(description="Bytes of the received segments, and of a segment that is appended to")
    bytes_stored: int = Field(description="Bytes that the object store has acknowledged")
    missing_segments: list[tuple[int, int]] = Field(
        description="Inclusive ranges of segment numbers still to be sent. Of a direct upload, all of them until it is "
        "complete; none where Uppy's S3 plugin decides how many there are"
    )
    wanted_segments: list[tuple[int, int]] = Field(
        default_factory=list,
        description="Those of `missing_segments` that hold the metadata or the thumbnail: send them next",
    )
    wrong_digests: list[tuple[int, int]] = Field(
        default_factory=list,
        description="Those of `missing_segments` whose bytes did not have the Content-MD5 that was sent with them "
        "(SEGMENT_DIGEST_WRONG). Send them again; from now on a Content-MD5 that is wrong is refused "
        "at once. Of more than 100, the latest",
    )
    segment_digest: Literal["md5", "crc32c"] = Field(
        "crc32c",
        description="The digest to send with a segment that costs least: `md5`, as Content-MD5, where the object store "
        "compares it, or `crc32c`, as Content-Digest. Others are accepted",
    )
    window_size: int | None = Field(
        None,
        description="Bytes of this upload that may be on the temp volume at once; null: all of it. A segment for which "
        "there is no room is refused with SEGMENT_WINDOW_FULL",
    )
    stages: dict[str, StageView]
    error: UploadError | None
    media: MediaMetadata | None = Field(
        None,
        description="The file's metadata, as soon as it is known: mostly long before the last segment. Always null in "
        "lists of uploads",
    )
    content_id: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = Field(
        description="When it expires unless another segment arrives, or more bytes of its first segment; null "
        "once all bytes are received or it has ended"
    )
    deadline_at: datetime | None = Field(
        None,
        description="When it expires unless every byte has arrived, however often segments arrive: a day after its "
        "admission or its first grants, by default. Null before that, and once all bytes are received or it has ended",
    )
    links: UploadLinks
    upload_token: UploadToken | None = Field(
        None,
        description="Only in the response to a creation: for the browser or app that sends the file; valid for "
        "this upload only",
    )
    grants: GrantsView | None = Field(
        None,
        description="In the response to a creation with transport `direct` or `token`: how to send the first segments",
    )


class UploadPage(Page[UploadView]):
    """One page of uploads, of every cell."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [examples.UPLOAD], "next_cursor": None, "unreachable_cells": []}]}
    )

    unreachable_cells: UnreachableCells = Field(default_factory=list)


class GrantsWanted(BaseModel):
    """Body of `POST /v1/uploads/{id}/grants`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [examples.GRANTS_WANTED]})

    segments: list[tuple[SegmentNumber, SegmentNumber]] = Field(
        min_length=1, max_length=1000, description="Inclusive ranges of segment numbers", examples=[[[101, 200]]]
    )


class SegmentView(BaseModel):
    """A received segment. `repeated`: it had been received before."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.SEGMENT]})

    number: int
    size: int
    digest: str = Field(
        description="Digest of the bytes as the gateway received them, in the form of Content-Digest (RFC 9530)",
        examples=["crc32c=:4waSgw==:"],
    )
    crc32c: str = Field(description="The CRC-32C (RFC 3720) of `digest` as 8 hex digits")
    repeated: bool
    upload_status: str
    wanted_segments: list[tuple[int, int]] = Field(
        default_factory=list, description="As `wanted_segments` of the upload, after this segment"
    )
