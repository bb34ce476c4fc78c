"""Routes of contents: what is left when an upload is `ready`."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.shared import LIMIT_DEFAULT, LIMIT_MAX, content_id, parse_query
from gateway.api.views import microseconds
from gateway.http import cursors
from gateway.http.envelope import success
from gateway.options import SERVICES
from gateway.routing import Answer, Route
from schemas.content import Content
from schemas.deletions import Deletion
from schemas.http import Page
from schemas.media import MediaKind


class ContentQuery(BaseModel):
    """Query of `GET /v1/contents`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MediaKind | None = Field(None, description="Only contents of this kind")
    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Items on one page")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


async def show(request: web.Request) -> web.StreamResponse:
    return success(await request.app[SERVICES].contents.get(content_id(request)))


async def delete(request: web.Request) -> web.StreamResponse:
    name = content_id(request)
    done = await request.app[SERVICES].deletions.delete(name)
    return success(Deletion(id=name, leftover=not done))


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, ContentQuery)
    before = cursors.decode(query.cursor) if query.cursor else None
    found = await request.app[SERVICES].contents.page(query.kind, before, query.limit + 1)
    shown, more = found[: query.limit], len(found) > query.limit
    last = shown[-1] if more else None
    return success(
        Page[Content](
            items=list(shown),
            next_cursor=cursors.encode((microseconds(last.created_at), last.id)) if last else None,
        )
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents",
        index,
        "Contents",
        "List contents",
        "Everything that became `ready`, newest first.",
        answers=(Answer(200, "One page", Page[Content]),),
        errors=("VALIDATION_FAILED", "CURSOR_INVALID", "DATABASE_UNAVAILABLE"),
        query=ContentQuery,
    ),
    Route(
        "GET",
        "/v1/contents/{id}",
        show,
        "Contents",
        "Show a content",
        "Where the object and its thumbnail lie, and what the media is. A content has the id of the upload it came "
        "from.",
        answers=(Answer(200, "The content", Content),),
        errors=("CONTENT_NOT_FOUND", "DATABASE_UNAVAILABLE"),
    ),
    Route(
        "DELETE",
        "/v1/contents/{id}",
        delete,
        "Contents",
        "Delete a content",
        "The row goes at once; object, manifest, segments and thumbnail are removed from their store, and a cache in "
        "front of it is told. What cannot be removed within some seconds is tried again by the workers and stands in "
        "`GET /v1/leftovers` until it is gone. URLs that were granted before end with the object. A second DELETE is "
        "answered CONTENT_NOT_FOUND, and does no harm.",
        answers=(Answer(200, "The content is gone", Deletion),),
        errors=("CONTENT_NOT_FOUND", "DATABASE_UNAVAILABLE"),
        new_work=True,
    ),
)
