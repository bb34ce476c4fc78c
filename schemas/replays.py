"""Replays: a stage that is run again for stored contents. Times are in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.content_list import ContentFilters

ReplayState = Literal["running", "stopped", "done"]
ReplayOutcome = Literal["changed", "unchanged", "skipped"]
"""`skipped`: the content was deleted meanwhile."""


class ReplayFilters(ContentFilters):
    """Which contents a stage is run again for: those that match every filter of a list of contents, and these. A filter
    that this release does not know is refused, since it would match too much without it."""

    ids: list[UUID] = Field(default_factory=list, max_length=10_000, description="Only these contents; empty: any")
    store: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        None, description="Only contents in this store: swift, s3 or filesystem"
    )
    thumbnail: bool | None = Field(None, description="true: only contents with a thumbnail; false: only those without")


class Replay(BaseModel):
    """A replay, and how far it is."""

    model_config = ConfigDict(frozen=True)

    id: str
    stage: str
    filters: dict[str, Any] = Field(description="Those that were given, as in `ReplayFilters`")
    state: ReplayState
    rate: float | None = Field(description="Contents per second, of all runners together; null: no limit")
    matching: int = Field(ge=0, description="How many contents matched when it was created")
    changed: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    skipped: int = Field(ge=0, description="Contents that were deleted meanwhile")
    failed: int = Field(ge=0, description="Contents that kept what they had, because the stage failed")
    in_progress: int = Field(ge=0, description="Contents that a runner has now")
    created_at: datetime
    progress_at: datetime | None = Field(description="When it was last done with a content")
    finished_at: datetime | None

    @property
    def ended(self) -> int:
        """How many contents it is done with."""
        return self.changed + self.unchanged + self.skipped + self.failed


class ReplayFailure(BaseModel):
    """A content for which the stage failed. It has what it had before."""

    model_config = ConfigDict(frozen=True)

    content_id: str
    code: str = Field(description="A code of the error catalogue")
    reason: str


class ReplayMatch(BaseModel):
    """What a filter matches now, counted up to a million contents."""

    model_config = ConfigDict(frozen=True)

    contents: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
