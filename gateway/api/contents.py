"""Routes of contents: list, show, delete. A content is the result of an upload that became `ready`."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from pydantic import Field

from gateway.api.error_codes import CONTENT_LOOKUP_ERRORS, LIST_ERRORS
from gateway.api.shared import PageQuery, content_id, paginate, parse_query
from gateway.api.views import microseconds
from gateway.http.cursors import Position
from gateway.http.envelope import success
from gateway.keys import SERVICES
from gateway.routing import Access, ResponseSpec, Route
from schemas.content import Content
from schemas.deletions import Deletion
from schemas.http import Page
from schemas.media import MediaKind


class ContentQuery(PageQuery):
    """Query of `GET /v1/contents`."""

    kind: MediaKind | None = Field(None, description="Only contents of this kind")


async def show(request: web.Request) -> web.StreamResponse:
    return success(await request.app[SERVICES].contents.get(content_id(request)))


async def delete(request: web.Request) -> web.StreamResponse:
    name = content_id(request)
    done = await request.app[SERVICES].deletions.delete(name)
    return success(Deletion(id=name, leftover=not done))


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, ContentQuery)
    fetch = partial(request.app[SERVICES].contents.page, query.kind)
    items, next_cursor = await paginate(query, fetch, _position)
    return success(Page[Content](items=list(items), next_cursor=next_cursor))


def _position(content: Content) -> Position:
    return microseconds(content.created_at), content.id


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents",
        index,
        "Contents",
        "List contents",
        "All contents, newest first.",
        responses=(ResponseSpec(200, "One page", Page[Content]),),
        errors=(*LIST_ERRORS, "DATABASE_UNAVAILABLE"),
        query=ContentQuery,
        access=Access.CLIENT,
    ),
    Route(
        "GET",
        "/v1/contents/{id}",
        show,
        "Contents",
        "Show a content",
        "The location of the object and its thumbnail, and the media metadata. A content has the same id as the upload "
        "that it came from.",
        responses=(ResponseSpec(200, "The content", Content),),
        errors=CONTENT_LOOKUP_ERRORS,
        access=Access.CLIENT,
    ),
    Route(
        "DELETE",
        "/v1/contents/{id}",
        delete,
        "Contents",
        "Delete a content",
        "Deletes the metadata row at once, then removes object, manifest, segments and thumbnail from the store and "
        "purges the cache in front of it. What cannot be removed within 15 seconds is retried by the workers and is "
        "listed in `GET /v1/leftovers` until it is gone. URLs granted earlier stop working when the object is gone. A "
        "second DELETE returns CONTENT_NOT_FOUND and does no harm.",
        responses=(ResponseSpec(200, "The content is deleted", Deletion),),
        errors=CONTENT_LOOKUP_ERRORS,
        new_work=True,
        access=Access.CLIENT,
    ),
)
