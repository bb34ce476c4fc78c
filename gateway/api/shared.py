"""What several groups of routes share: ids and numbers in paths, queries, paginated lists, the view of an upload."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.access import URL_PARAMETER
from gateway.api.views import content_view, upload_view
from gateway.http import cursors
from gateway.http.bodies import invalid, invalid_field
from gateway.http.links import base_url
from gateway.keys import CALLER, CURRENT_ROUTE, LIMITS, SERVICES
from pipeline.uploads.lookup import UploadDetail
from schemas.content import Content, ContentView
from schemas.owners import OwnerFilter
from schemas.uploads import UploadView

Q = TypeVar("Q", bound=BaseModel)
T = TypeVar("T")
F = TypeVar("F", bound=OwnerFilter)

_NOBODY = ""  # no owner has this name
_NUMBER = re.compile(r"[0-9]{1,9}")


LinkSeconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
"""Validity of a URL to the store: up to a week, the longest that S3 signs."""


class PageQuery(BaseModel):
    """Query parameters that every paginated list has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="Items per page")
    cursor: str | None = Field(
        None,
        max_length=4000,
        description="`next_cursor` of the previous page; repeat that page's other parameters, `limit` may differ",
    )


async def paginate(
    query: PageQuery,
    fetch: Callable[[cursors.Position | None, int], Awaitable[Sequence[T]]],
    position: Callable[[T], cursors.Position],
) -> tuple[Sequence[T], str | None]:
    """The items of one page, and the cursor of the next page or None.

    `fetch(after, limit)` returns up to `limit` items that follow the position `after`. Raises RequestError
    CURSOR_INVALID, also for a cursor of another list or of the same list with other filters or another order.
    """
    digest = cursors.query_digest(query)
    after = cursors.decode(query.cursor, digest) if query.cursor else None
    found = await fetch(after, query.limit + 1)  # the extra item shows that there is another page
    items = found[: query.limit]
    return items, cursors.encode(position(items[-1]), digest) if len(found) > query.limit else None


def segment_number(request: web.Request) -> int:
    """The segment number in the path. Raises RequestError VALIDATION_FAILED."""
    text = request.match_info["number"]
    if not _NUMBER.fullmatch(text):
        raise invalid_field("number", "Must be a whole number from 1")
    return int(text)


def sees(request: web.Request) -> str | None:
    """The owner whose uploads and contents this caller sees; None: everybody's."""
    return request[CALLER].sees


def link_seconds(request: web.Request, seconds: int) -> int:
    """For how long a URL to the store may work: no longer than the link or upload token that this request was made
    with, so that nobody prolongs it. Keys and tokens of an identity provider are renewed, and do not limit it."""
    caller = request[CALLER]
    if caller.token is None or caller.expires_at is None:
        return seconds
    return max(1, min(seconds, int(caller.expires_at - time.time())))


def segments_limit(request: web.Request) -> Callable[[int], None]:
    """Counts segments whose URLs are signed, or that are looked up in the store, for the caller's owner. What is
    returned raises LimitReached RATE_LIMITED."""
    limit, owner = request.app[LIMITS].segments, request[CALLER].owner
    return lambda count: None if limit is None else limit.require(owner, count)


def own_only(query: F, request: web.Request) -> F:
    """The query of a list, with its filter `owner` set to what the caller sees. A caller that names another owner gets
    an empty list, as for an owner that does not exist."""
    owner = sees(request)
    if owner is None or query.owner == owner:
        return query
    return query.model_copy(update={"owner": owner if query.owner is None else _NOBODY})


def parse_query(request: web.Request, model: type[Q], *, once: bool = False) -> Q:
    """The query string as a `model`. Of a repeated parameter the last value counts; with `once` it is refused. Raises
    RequestError VALIDATION_FAILED."""
    if once:
        for name in request.query:
            if len(request.query.getall(name)) > 1:
                raise invalid_field(name[:64], "Give this parameter once")
    sent = dict(request.query)
    if request[CURRENT_ROUTE].access.in_url:
        sent.pop(URL_PARAMETER, None)
    try:
        return model.model_validate(sent)
    except ValidationError as error:
        raise invalid(error) from None


def show_upload(request: web.Request, detail: UploadDetail) -> UploadView:
    """An upload, with links to the gateway at the address that this client used."""
    return upload_view(detail, base_url(request))


def show_content(request: web.Request, content: Content) -> ContentView:
    """A content, with links as `show_upload` makes them."""
    services = request.app[SERVICES]
    return content_view(content, base_url(request), services.downloads, receipt=services.receipts.offered)
