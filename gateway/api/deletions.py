"""The route that lists pending deletions."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway import access
from gateway.api.shared import PageQuery, paginate, parse_query
from gateway.api.views import deletion_view, microseconds
from gateway.error_codes import DATABASE_ERRORS, LIST_ERRORS
from gateway.http.cursors import Position
from gateway.http.envelope import success
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from schemas.deletions import PendingDeletion
from schemas.http import Page


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, PageQuery)

    async def fetch(after: Position | None, limit: int) -> Sequence[PendingDeletion]:
        return await request.app[SERVICES].deletion_list.page(after.pair if after else None, limit)

    items, next_cursor = await paginate(query, fetch, _position)
    return success(Page[PendingDeletion](items=[deletion_view(item) for item in items], next_cursor=next_cursor))


def _position(deletion: PendingDeletion) -> Position:
    return Position(microseconds(deletion.deleted_at), deletion.content_id)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/leftovers",
        index,
        "Contents",
        "List pending deletions",
        "Deleted contents of which something remains in a store or a cache, newest first, each with the error of the "
        "last attempt to remove it. Workers retry until the list is empty.",
        responses=(ResponseSpec(200, "One page", Page[PendingDeletion]),),
        errors=(*LIST_ERRORS, *DATABASE_ERRORS),
        query=PageQuery,
        access=access.OPERATE,
    ),
)
