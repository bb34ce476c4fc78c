"""The one shape of every JSON response: `{"success": true, "status": ..., "data": ...}` or `{"success": false,
"status": ..., "error": ...}`."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class ErrorBody(BaseModel):
    """An error. `code` is stable and listed in the error catalogue; `detail` holds the facts behind the message."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(examples=["UPLOAD_NOT_FOUND"])
    message: str
    path: str
    request_id: str
    detail: dict[str, Any] = Field(default_factory=dict)


class Failure(BaseModel):
    """The envelope of every error."""

    model_config = ConfigDict(frozen=True)

    success: Literal[False] = False
    status: int
    error: ErrorBody


class PlainFailure(Failure):
    """The envelope of an error, for clients that do not know it."""

    message: str = Field(description="The error's message, and its code in parentheses")


class Success(BaseModel, Generic[T]):
    """The envelope of every successful response."""

    model_config = ConfigDict(frozen=True)

    success: Literal[True] = True
    status: int
    data: T


class Page(BaseModel, Generic[T]):
    """One page of a list. `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next_cursor: str | None


class AllowedMethods(BaseModel):
    """Response to OPTIONS."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"allowed": ["DELETE", "GET", "HEAD", "OPTIONS"]}]}
    )

    allowed: list[str] = Field(description="The methods that this path supports")
