"""Imports as the API takes and shows them: objects that are in the store already."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.uploads import MetadataKey, MetadataValue


class ImportObject(BaseModel):
    """Body of `POST /v1/contents/import`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        pattern=r"^[^\x00]+$",
        description="Bucket or container; without it, the store's own",
    )
    key: str = Field(
        min_length=1, max_length=1024, pattern=r"^[^\x00]+$", description="The object's name", examples=["raw/film.mp4"]
    )
    metadata: dict[MetadataKey, MetadataValue] = Field(
        default_factory=dict, max_length=32, description="Kept with the content, not interpreted"
    )


class ImportView(BaseModel):
    """An object that becomes, or has become, a content. `GET /v1/uploads/{id}` follows it while it is under way."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="Id of the import's upload, which becomes the content's id")
    status: str = Field(description="As of an upload; `ready`: it is a content")
    created: bool = Field(description="False: this version of the object was imported before, or is being imported")
    bucket: str
    key: str
    size: int
    etag: str = Field(description="Which version of the object it is")


class IgnoredEvent(BaseModel):
    """A record of a notification from which nothing follows."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    key: str
    reason: str = Field(description="An error code, or NOT_A_CREATION")


class EventsTaken(BaseModel):
    """What followed from a notification."""

    model_config = ConfigDict(frozen=True)

    taken: Literal[True] = True
    imports: list[ImportView] = Field(description="One for each object that was created")
    ignored: list[IgnoredEvent]
    confirm_url: str | None = Field(
        None, description="Amazon's SNS asks whether it may send: it will when somebody has opened this URL; we do not"
    )
