"""Lists of uploads that span the cells of an installation, from what each cell's gateway returns.

Guarantee: a position in a list is the same in every cell, so a cursor continues the list whichever gateway receives
it. A merged page holds exactly the newest items of the cells that have responded, and leaves none out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from gateway.api.views import microseconds
from gateway.http import cursors
from gateway.http.bodies import invalid_field
from gateway.http.cursors import Position
from gateway.http.envelope import REQUEST_ID
from gateway.http.request_ids import HEADER
from gateway.keys import CURRENT_ROUTE, SERVICES
from pipeline.core.errors import RequestError
from pipeline.uploads.other_cells import FromCells
from schemas.cells import CellFilter
from schemas.overview import FoundPage
from schemas.uploads import UploadPage, UploadView

T = TypeVar("T", bound=BaseModel)
P = TypeVar("P", UploadPage, FoundPage)


@dataclass(frozen=True, slots=True)
class Part:
    """What one cell has of a list: its newest items, and the position from which it may have older ones; None: it has
    none."""

    items: Sequence[UploadView]
    rest: Position | None


async def from_others(request: web.Request, query: CellFilter, model: type[T]) -> FromCells[T]:
    """What the other cells respond to this request, whose query is `query`; nothing where there are none, and where
    the query names a cell. Raises RequestError VALIDATION_FAILED if that is not the cell of this gateway."""
    cells = request.app[SERVICES].other_cells
    if query.cell not in (None, cells.own):
        raise invalid_field("cell", f"This gateway belongs to cell {cells.own}")
    if query.cell is not None or not cells.exist:
        return FromCells({}, [])
    headers = {HEADER: request[REQUEST_ID]}
    if "Authorization" in request.headers:
        headers["Authorization"] = request.headers["Authorization"]
    sent = query.model_dump(mode="json", exclude_none=True)
    return await cells.ask(request[CURRENT_ROUTE].path, sent, headers, model)


def merged(own: Part, others: FromCells[P], digest: str, limit: int) -> tuple[Part, list[P], list[int]]:
    """One page of all cells, the pages of the other cells that it is made of, and the cells without one. `digest`: of
    the query. A cell whose cursor is not one of this list, as another release may make, counts as unreachable."""
    parts, pages, unreachable = [own], [], list(others.unreachable)
    for cell, page in others.found.items():
        try:
            rest = cursors.decode(page.next_cursor, digest) if page.next_cursor else None
        except RequestError:
            unreachable.append(cell)
        else:
            parts.append(Part(page.items, rest))
            pages.append(page)
    return merged_parts(parts, limit), pages, sorted(unreachable)


def merged_parts(parts: Iterable[Part], limit: int) -> Part:
    """The newest `limit` items of all parts. Items that are older than the end of a part are left to the next page,
    since that part may have others before them."""
    parts = list(parts)
    ends = [part.rest for part in parts if part.rest is not None]
    end = max(ends, key=lambda rest: rest.pair, default=None)
    items = [item for part in parts for item in part.items if end is None or position(item).pair >= end.pair]
    items.sort(key=lambda item: position(item).pair, reverse=True)
    return Part(items[:limit], position(items[limit - 1]) if len(items) > limit else end)


def position(item: UploadView) -> Position:
    """Where an upload is in lists."""
    return Position(microseconds(item.created_at) // 1000, item.id)
