"""What is left of deleted contents."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.shared import LIMIT_DEFAULT, LIMIT_MAX, parse_query
from gateway.api.views import microseconds
from gateway.http import cursors
from gateway.http.envelope import success
from gateway.options import SERVICES
from gateway.routing import Answer, Route
from schemas.deletions import PendingDeletion
from schemas.http import Page


class DeletionQuery(BaseModel):
    """Query of `GET /v1/leftovers`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Items on one page")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, DeletionQuery)
    before = cursors.decode(query.cursor) if query.cursor else None
    found = await request.app[SERVICES].deletion_list.page(before, query.limit + 1)
    shown, more = found[: query.limit], len(found) > query.limit
    last = shown[-1] if more else None
    return success(
        Page[PendingDeletion](
            items=list(shown),
            next_cursor=cursors.encode((microseconds(last.deleted_at), last.content_id)) if last else None,
        )
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/leftovers",
        index,
        "Contents",
        "List leftovers",
        "Contents that were deleted and of which something is still in a store or a cache, newest first, with what "
        "was wrong when it was last tried to remove them. Workers try until the list is empty.",
        answers=(Answer(200, "One page", Page[PendingDeletion]),),
        errors=("VALIDATION_FAILED", "CURSOR_INVALID", "DATABASE_UNAVAILABLE"),
        query=DeletionQuery,
    ),
)
