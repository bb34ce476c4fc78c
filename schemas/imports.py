"""Imports of objects that are already in the store: requests and responses of the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.examples import EXAMPLE_ID, SERVER, Example
from schemas.metadata import Metadata
from schemas.owners import OwnerName

_IMPORT: Example = {
    "id": EXAMPLE_ID,
    "status": "processing",
    "created": True,
    "bucket": "archive",
    "key": "raw/film.mp4",
    "size": 73_400_320,
    "etag": "f7ecae63505ca4ec8cef02d9faa01d90",
    "links": {
        "self": f"{SERVER}/v1/uploads/{EXAMPLE_ID}",
        "events": f"{SERVER}/v1/uploads/{EXAMPLE_ID}/events",
        "content": None,
    },
}


class ImportObject(BaseModel):
    """Body of `POST /v1/contents/import`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"bucket": "archive", "key": "raw/film.mp4", "metadata": {"album": "Norway"}}]},
    )

    bucket: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        pattern=r"^[^\x00]+$",
        description="Bucket or container; default: the one that Sluice stores to",
    )
    key: str = Field(
        min_length=1, max_length=1024, pattern=r"^[^\x00]+$", description="The object's name", examples=["raw/film.mp4"]
    )
    owner: OwnerName | None = Field(None, description="Owner of the content; default: SLUICE_IMPORT_OWNER")
    metadata: Metadata = Field(default_factory=dict)


class ImportLinks(BaseModel):
    """Absolute URLs; null: does not apply to the import's status."""

    model_config = ConfigDict(frozen=True)

    self: str | None = Field(description="The import's upload, until it is `ready`: GET shows it, DELETE cancels it")
    events: str | None = Field(description="GET follows it, until it is `ready`")
    content: str | None = Field(description="The content, once the import is `ready`")


class ImportView(BaseModel):
    """An object that becomes, or has become, a content. `GET /v1/uploads/{id}` shows its progress."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_IMPORT]})

    id: str = Field(description="Id of the import's upload, and later of its content")
    status: str = Field(description="Status as of an upload; `ready`: the object is a content")
    created: bool = Field(description="False: this version of the object was imported before or is being imported")
    bucket: str
    key: str
    size: int
    etag: str = Field(description="The store's ETag, unquoted: it identifies the version of the object")
    links: ImportLinks


class IgnoredEvent(BaseModel):
    """A record of a notification that starts no import."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    key: str
    reason: str = Field(description="An error code, or NOT_A_CREATION")


class EventsTaken(BaseModel):
    """The effects of a notification."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "taken": True,
                    "imports": [_IMPORT],
                    "ignored": [{"bucket": "archive", "key": "raw/old.mp4", "reason": "NOT_A_CREATION"}],
                    "confirm_url": None,
                }
            ]
        },
    )

    taken: Literal[True] = True
    imports: list[ImportView] = Field(description="One for each created object")
    ignored: list[IgnoredEvent]
    confirm_url: str | None = Field(
        None,
        description="Amazon SNS asks for its subscription to be confirmed: an operator must open this URL",
    )
