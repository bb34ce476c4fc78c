"""What is left of deleted contents, as the API and the database adapter hand it out."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from schemas.content import ContentObject


class PendingDeletion(BaseModel):
    """A content that was deleted, and has not been removed from its store, or from the cache in front of it, yet."""

    model_config = ConfigDict(frozen=True)

    content_id: str
    content_type: str
    object: ContentObject = Field(description="The object; its segments lie under the content's id")
    thumbnail: ContentObject | None
    deleted_at: datetime
    attempts: int = Field(ge=0, description="How often it was tried to remove it")
    due_at: datetime = Field(description="When it is tried again; while it is being tried, when somebody else may")
    error_code: str | None = Field(description="Why the last attempt failed, from the error catalogue")
    error: str | None = Field(description="The same for people")


class Deletion(BaseModel):
    """Answer to DELETE: the content is gone from the API. `leftover` says whether something of it is still to be
    removed from the store or a cache; it is then in `GET /v1/leftovers` until it is gone."""

    model_config = ConfigDict(frozen=True)

    id: str
    leftover: bool
