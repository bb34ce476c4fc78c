"""Tokens that callers request: permits, tickets for event streams, and links. Times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.media import MediaKind
from schemas.numbers import WHOLE

# The limits of a permit are in its token, which must fit in a header.
_Codec = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9_.-]+$")]
_TypePattern = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[a-z0-9!#$&^_.+-]+/(\*|[a-z0-9!#$&^_.+-]+)$", to_lower=True)
]
_WEEK_SECONDS = 7 * 24 * 3600
_Seconds = Annotated[int, Field(ge=1, le=_WEEK_SECONDS, strict=True), WHOLE]
_Bytes = Annotated[int, Field(ge=1, le=2**53 - 1, strict=True), WHOLE]
_Pixels = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True), WHOLE]


class PermitRequest(BaseModel):
    """Body of `POST /v1/permits`. What is not limited here has the limits of the owner only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_in: _Seconds = Field(3600, description="Seconds for which uploads may be created")
    count: Annotated[int, Field(ge=1, le=10_000, strict=True), WHOLE] = Field(
        1, description="How many uploads may be created"
    )
    max_size: _Bytes | None = Field(None, description="Bytes of each file")
    content_types: list[_TypePattern] = Field(
        default_factory=list,
        max_length=32,
        description="Media types that a file may have; `video/*` stands for every video type",
        examples=[["video/*", "image/jpeg"]],
    )
    kinds: list[MediaKind] = Field(default_factory=list, max_length=3, description="What the file may be")
    video_codecs: list[_Codec] = Field(default_factory=list, max_length=32, examples=[["h264", "hevc"]])
    audio_codecs: list[_Codec] = Field(default_factory=list, max_length=32, examples=[["aac", "opus"]])
    max_duration_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        strict=True,
        description="A video or a sound of unknown duration is refused, too",
    )
    max_width: _Pixels | None = Field(None, description="Of each picture as displayed, in pixels; covers do not count")
    max_height: _Pixels | None = Field(None, description="As `max_width`")


class PermitView(BaseModel):
    """A permit. A client creates uploads with `token`. A file that breaks a limit is ended as soon as that is known."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="Names the permit in logs")
    token: str = Field(repr=False, description="Send it as `Authorization: Bearer` with `POST /v1/uploads`")
    expires_at: datetime
    count: int


class TicketView(BaseModel):
    """A ticket: opens the event stream of one upload where headers cannot be sent, as with a browser's EventSource."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(repr=False, description="The event stream, with the ticket in its query")
    expires_at: datetime = Field(description="Open the stream before this time; it may last longer")


class LinksRequest(BaseModel):
    """Body of `POST /v1/contents/{id}/links`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_in: _Seconds = Field(3600, description="Seconds for which the links work")


class LinksView(BaseModel):
    """URLs that work without a key until they expire."""

    model_config = ConfigDict(frozen=True)

    download: str = Field(repr=False)
    thumbnail: str | None = Field(repr=False, description="Null: the content has none")
    expires_at: datetime
