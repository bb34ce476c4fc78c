"""Deletions, as the API and the database adapter return them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas import examples
from schemas.content import ContentObject


class PendingDeletion(BaseModel):
    """A deleted content that is not yet removed from its store or from the cache in front of it."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.PENDING_DELETION]})

    content_id: str
    content_type: str
    owner: str
    object: ContentObject = Field(description="The object; its segments are stored under the content's id")
    thumbnail: ContentObject | None
    parts: list[str] = Field(
        default_factory=list, description="Ids of the partial uploads under which its segments are stored, if any"
    )
    deleted_at: datetime
    attempts: int = Field(ge=0, description="Number of attempts to remove it")
    due_at: datetime = Field(
        description="Time of the next attempt; during an attempt, when another worker may take over"
    )
    error_code: str | None = Field(description="Code of the last attempt's error, from the error catalogue")
    error: str | None = Field(description="Message of the last attempt's error")


class Deletion(BaseModel):
    """Response to DELETE: the API no longer shows the content. `leftover`: something of it must still be removed from
    the store or a cache, and is listed in `GET /v1/leftovers` until then."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.DELETION]})

    id: str
    leftover: bool
