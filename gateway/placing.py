"""Requests that create an upload, in an installation of several cells: created here, or redirected to the cell that is
to have the upload (307).

The query of the redirect says what is decided already, so there are at most three redirects and never a loop:

- nothing: this gateway chooses (`uploads.placement`), or finds that the Idempotency-Key has its home in another cell;
- `home=H`: cell H keeps where the upload of the key is created, and chooses;
- `cell=N`: cell N creates it. If it cannot, because it is drained or its Redis is unavailable, and does not know the
  key, it redirects once more, with both parameters;
- `cell=M` and `home=N`: cell M creates it or refuses.

Guarantee: all of it is decided before bytes of the file are read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from pydantic import ValidationError

from gateway.cells import as_sent
from gateway.http.bodies import invalid, invalid_field
from gateway.http.state import OPTIONS
from gateway.keys import CALLER, SERVICES
from pipeline.core.errors import DependencyUnavailable, OtherCell
from pipeline.uploads.permits import scoped_key
from pipeline.uploads.placement import NewFile
from schemas.placement import PlacementQuery

_CANNOT: Final = frozenset({"VOLUME_DRAINING", "VOLUME_RECOVERING", "REDIS_UNAVAILABLE"})
_OWN_PARAMETER: Final = re.compile(r"(?:cell|home)(?:=|$)")


def new_file(
    request: web.Request, size_bytes: int, key: str | None, *, fixed: str | None = None, moves: bool = True
) -> NewFile:
    """What decides about the cell. The uploads of a permit are counted in one cell, its first in the permit's order."""
    caller = request[CALLER]
    if fixed is None and caller.permit is not None:
        fixed = f"permit {caller.permit.permit_id}"
    return NewFile(size_bytes, scoped_key(key, caller), fixed, moves)


@asynccontextmanager
async def placed(request: web.Request, new: NewFile) -> AsyncIterator[None]:
    """The block creates the upload in this cell. Raises OtherCell CREATE_IN_OTHER_CELL if another cell is to have it,
    also when the block finds that this cell cannot take it; RequestError VALIDATION_FAILED for a cell that does not
    exist; DependencyUnavailable."""
    options, placement = request.app[OPTIONS], request.app[SERVICES].placement
    query = _query(request)
    for name, number in (("cell", query.cell), ("home", query.home)):
        if number is not None and number != options.cell and number not in options.cells:
            raise invalid_field(name, "There is no cell with this number")
    if not options.cells:
        yield
        return
    if query.cell is None:
        if query.home not in (None, options.cell):
            raise _redirect(request, home=query.home)
        chosen = await placement.choose(new, as_home=query.home is not None)
        if chosen.cell != options.cell:
            raise _redirect(request, **{"home" if chosen.as_home else "cell": chosen.cell})
    elif query.cell != options.cell:
        raise _redirect(request, cell=query.cell, home=query.home)
    try:
        yield
    except DependencyUnavailable as error:
        if error.code not in _CANNOT or (query.cell is not None and query.home is not None):
            raise
        cell = await placement.another(new)
        if cell is None:
            raise
        raise _redirect(request, cell=cell, home=options.cell) from error


def in_cell_of_parts(request: web.Request, cell: int) -> OtherCell:
    """The redirect of a final upload to the cell of its parts."""
    return _redirect(request, cell=cell)


def _query(request: web.Request) -> PlacementQuery:
    try:
        return PlacementQuery.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error) from None


def _redirect(request: web.Request, **decided: int | None) -> OtherCell:
    """`decided`: the parameters `cell` and `home`, of which the first is where the request goes."""
    path, _, query = as_sent(request).partition("?")
    kept = [item for item in query.split("&") if item and not _OWN_PARAMETER.match(item)]
    kept.append(urlencode({name: number for name, number in decided.items() if number is not None}))
    cell = next(number for number in decided.values() if number is not None)
    url = request.app[OPTIONS].cells[cell]
    return OtherCell("CREATE_IN_OTHER_CELL", location=f"{url}{path}?{'&'.join(kept)}", cell=cell, url=url)
