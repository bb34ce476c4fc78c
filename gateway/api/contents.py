"""Routes of contents: list, show, delete. A content is the result of an upload that became `ready`."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from pydantic import ConfigDict, Field

from gateway import access
from gateway.api.shared import PageQuery, own_only, paginate, parse_query, sees, show_content
from gateway.api.views import microseconds
from gateway.error_codes import CONTENT_LOOKUP_ERRORS, DATABASE_ERRORS, LIST_ERRORS
from gateway.http.cursors import Position
from gateway.http.envelope import success
from gateway.ids import content_id
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.ports.contents import ContentPosition
from schemas import examples
from schemas.content import Content, ContentView
from schemas.content_list import NEWEST_FIRST, ContentFilters, Sort, sort_value
from schemas.deletions import Deletion
from schemas.http import Page


class ContentQuery(ContentFilters, PageQuery):
    """Query of `GET /v1/contents`. A name that is not here is refused: a misspelt filter must not list everything."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONTENT_FILTERS]})

    sort: Sort = Field(
        NEWEST_FIRST,
        description="Field to sort by, smallest value first; with `-` in front, largest first. Contents without a "
        "value come last in both directions. Equal values are sorted by creation.",
    )


async def show(request: web.Request) -> web.StreamResponse:
    return success(show_content(request, await request.app[SERVICES].contents.get(content_id(request), sees(request))))


async def delete(request: web.Request) -> web.StreamResponse:
    name = content_id(request)
    done = await request.app[SERVICES].deletions.delete(name, sees(request))
    return success(Deletion(id=name, leftover=not done))


async def index(request: web.Request) -> web.StreamResponse:
    query = own_only(parse_query(request, ContentQuery, once=True), request)

    async def fetch(after: Position | None, limit: int) -> Sequence[Content]:
        start = None if after is None else ContentPosition(after.moment, after.name, after.value)
        return await request.app[SERVICES].contents.page(query, query.sort, start, limit)

    def position(content: Content) -> Position:
        return Position(microseconds(content.created_at), content.id, sort_value(content, query.sort))

    items, next_cursor = await paginate(query, fetch, position)
    shown = [show_content(request, content) for content in items]
    return success(Page[ContentView](items=shown, next_cursor=next_cursor))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents",
        index,
        "Contents",
        "List contents",
        "All contents, newest first, or those that match all filters, in the order of `sort`. A filter has the name of "
        "the content's field; `size_bytes` is that of its object. `min_` and `max_` are inclusive. A content whose "
        "value is unknown (null) matches no filter of that field.",
        responses=(ResponseSpec(200, "One page", Page[ContentView]),),
        errors=(*LIST_ERRORS, *DATABASE_ERRORS),
        query=ContentQuery,
        access=access.LIST_CONTENTS,
    ),
    Route(
        "GET",
        "/v1/contents/{id}",
        show,
        "Contents",
        "Show a content",
        "The location of the object and its thumbnail, and the media metadata. A content has the same id as the upload "
        "that it came from.",
        responses=(ResponseSpec(200, "The content", ContentView),),
        errors=CONTENT_LOOKUP_ERRORS,
        access=access.READ,
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
        access=access.DELETE,
    ),
)
