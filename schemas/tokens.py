"""Tokens that callers request: permits, tickets for event streams, and links. Times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.examples import EXAMPLE_ID, SERVER
from schemas.media import MediaKind
from schemas.numbers import WHOLE

# The limits of a permit are in its token, which must fit in a header.
_Codec = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9_.-]+$")]
_TypePattern = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/(\*|[A-Za-z0-9!#$&^_.+-]+)$", to_lower=True)
]
_WEEK_SECONDS = 7 * 24 * 3600
_Seconds = Annotated[int, Field(ge=1, le=_WEEK_SECONDS, strict=True), WHOLE]
_Bytes = Annotated[int, Field(ge=1, le=2**53 - 1, strict=True), WHOLE]
_Pixels = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True), WHOLE]


class PermitRequest(BaseModel):
    """Body of `POST /v1/permits`: limits of the uploads created with the permit. Limits of the owner apply, too."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"count": 5, "max_size": 2147483648, "content_types": ["video/*"], "max_duration_seconds": 600.0}
            ]
        },
    )

    expires_in: _Seconds = Field(3600, description="Seconds for which the permit is valid")
    count: Annotated[int, Field(ge=1, le=10_000, strict=True), WHOLE] = Field(
        1, description="How many uploads may be created"
    )
    max_size: _Bytes | None = Field(None, description="Most bytes of one file")
    content_types: list[_TypePattern] = Field(
        default_factory=list,
        max_length=32,
        description="Media types that a file may have; `video/*` stands for every video type. Empty: every type",
        examples=[["video/*", "image/jpeg"]],
    )
    kinds: list[MediaKind] = Field(
        default_factory=list, max_length=3, description="Kinds that a file may have; empty: every kind"
    )
    video_codecs: list[_Codec] = Field(default_factory=list, max_length=32, examples=[["h264", "hevc"]])
    audio_codecs: list[_Codec] = Field(default_factory=list, max_length=32, examples=[["aac", "opus"]])
    max_duration_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        strict=True,
        description="Longest duration; a video or audio file of unknown duration is refused, too",
    )
    max_width: _Pixels | None = Field(None, description="Largest width of a picture, as displayed; covers do not count")
    max_height: _Pixels | None = Field(None, description="Largest height, as `max_width`")


class PermitView(BaseModel):
    """A permit: its `token` creates uploads within limits. An upload that breaks one fails as soon as that is known."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "d2cdf37173094c3789b50124d4dbc9a3",
                    "token": "eyJhbGciOiJIUzI1NiIs...zsgMaa",
                    "expires_at": "2026-11-27T12:23:46Z",
                    "count": 5,
                }
            ]
        },
    )

    id: str = Field(description="Id of the permit, as in the log")
    token: str = Field(repr=False, description="Send it as `Authorization: Bearer` with `POST /v1/uploads`")
    expires_at: datetime
    count: int


class TicketView(BaseModel):
    """A ticket: opens the event stream of one upload for a browser's EventSource, which cannot send headers."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "url": f"{SERVER}/v1/uploads/{EXAMPLE_ID}/events?token=eyJhbGciOiJIUzI1NiIs...fcc8nU",
                    "expires_at": "2026-11-27T11:24:46Z",
                }
            ]
        },
    )

    url: str = Field(repr=False, description="The event stream, with the ticket in its query")
    expires_at: datetime = Field(description="The stream must be opened before this time; it may then last longer")


class LinksRequest(BaseModel):
    """Body of `POST /v1/contents/{id}/links`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"expires_in": 86400}]})

    expires_in: _Seconds = Field(3600, description="Seconds for which the links work")


class LinksView(BaseModel):
    """URLs that work without a key until they expire."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "download": f"{SERVER}/v1/contents/{EXAMPLE_ID}/download?token=eyJhbGciOiJIUzI1NiIs...gTF5QL",
                    "thumbnail": f"{SERVER}/v1/contents/{EXAMPLE_ID}/thumbnail?token=eyJhbGciOiJIUzI1NiIs...gTF5QL",
                    "expires_at": "2026-11-28T11:23:46Z",
                }
            ]
        },
    )

    download: str = Field(repr=False)
    thumbnail: str | None = Field(repr=False, description="Null: the content has no thumbnail")
    expires_at: datetime
