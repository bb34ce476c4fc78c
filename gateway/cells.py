"""Requests for an upload of another cell are redirected to that cell (307, RFC 9110 section 15.4.8).

Guarantee: local first. An upload that this cell knows is served here, whatever its id says: ids of earlier releases
name a cell by chance. Only a request for an upload that is unknown here, or that cannot be looked up because Redis is
unavailable, and whose id names another cell of SLUICE_CELLS, is redirected. A cell never redirects what names itself,
so there is no loop. It is decided before a body is read, after the caller is known to have a valid credential.

`Location` is the URL of that cell with path and query as they were sent, tokens and permits too. It is not logged.
"""

from __future__ import annotations

import string
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.http.state import OPTIONS
from gateway.keys import SERVICES
from pipeline.core.cells import cell_of
from pipeline.core.errors import OtherCell

_VISIBLE: Final = string.punctuation
"""Kept as it is in a path or query; only what no URL may contain is encoded."""


async def require_here(request: web.Request, upload_id: str) -> None:
    """Raises OtherCell UPLOAD_IN_OTHER_CELL for an upload that another cell serves."""
    options = request.app[OPTIONS]
    cell = await cell_serving(request, upload_id)
    if cell == options.cell:
        return
    url = options.cells[cell]
    location = url + as_sent(request)
    raise OtherCell("UPLOAD_IN_OTHER_CELL", location=location, upload_id=upload_id, cell=cell, url=url)


async def cell_serving(request: web.Request, upload_id: str) -> int:
    """The cell that serves requests for an upload: the one that its id names, unless this cell has the upload."""
    options = request.app[OPTIONS]
    cell = cell_of(upload_id)
    if cell is None or cell == options.cell or cell not in options.cells:
        return options.cell
    return options.cell if await request.app[SERVICES].ownership.knows(upload_id) else cell


def as_sent(request: web.Request) -> str:
    """Path and query of a request, with the percent-encoding of its client."""
    sent = request.rel_url.raw_path_qs
    return quote(sent.encode("utf-8", "surrogateescape"), safe=_VISIBLE)
