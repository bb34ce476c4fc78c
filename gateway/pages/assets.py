"""Static files of the pages: HTML documents, style sheets and ES modules, read once from the package.

Guarantee: a page runs only scripts and style sheets that this gateway serves, sends requests to this gateway only, and
cannot be framed; its content security policy enforces this. Each file has a strong ETag and is revalidated before every
use, so that no cache combines files of two releases. The files contain no data, so anyone may read them: a page asks
for a credential itself. Names are looked up in a table, never in the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import web

from gateway import access
from gateway.http.conditions import Validators, is_not_modified
from gateway.routing import Handler, ResponseSpec, Route
from pipeline.core.errors import RequestError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of a page. Fetched pictures are shown as `blob:`."""

_FOLDERS: Final = ("static", "client")
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ts": "text/plain"}
_NO_DATE: Final = datetime.fromtimestamp(0, UTC)  # conditions that name a date are ignored
_HEADERS: Final = {"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. `etag` is quoted."""

    body: bytes
    content_type: str
    etag: str


def page_route(path: str, document: str, summary: str, description: str) -> Route:
    """The route of a page: `document` is an HTML file in `gateway/pages/static`, which refers to its style sheets and
    modules as `assets/NAME`."""
    return Route(
        "GET",
        path,
        _page_handler(document),
        "Pages",
        summary,
        description,
        responses=_responses("text/html", "The page"),
        errors=("PRECONDITION_FAILED",),
        response_headers={**_HEADERS, "Content-Security-Policy": POLICY},
        access=access.PUBLIC,
    )


async def asset(request: web.Request) -> web.StreamResponse:
    found = _assets().get(request.match_info["name"])
    if found is None:
        raise RequestError("ROUTE_NOT_FOUND")
    return _send(request, found)


def _page_handler(document: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return _send(request, _document(document))

    handle.__name__ = document.removesuffix(".html")  # unique, for the operation id in /openapi.json
    return handle


def _send(request: web.Request, found: Asset) -> web.StreamResponse:
    headers = {"ETag": found.etag}
    if is_not_modified(request.headers, Validators(found.etag, _NO_DATE), dates=False):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, content_type=found.content_type, charset="utf-8", headers=headers)


@cache
def _assets() -> Mapping[str, Asset]:
    """Name -> file: everything below the folders that has a type."""
    found: dict[str, Asset] = {}
    for folder in _FOLDERS:
        for entry in (files("gateway.pages") / folder).iterdir():
            suffix = entry.name[entry.name.rfind(".") :]
            if suffix in _TYPES:
                found[entry.name] = _asset(entry.read_bytes(), _TYPES[suffix])
    return found


@cache
def _document(name: str) -> Asset:
    return _asset((files("gateway.pages") / "static" / name).read_bytes(), "text/html")


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _responses(media_type: str, description: str) -> tuple[ResponseSpec, ...]:
    return (
        ResponseSpec(200, description, media_type=media_type, headers={"ETag": "Changes with the file"}),
        ResponseSpec(304, "It has the ETag that If-None-Match names", media_type=""),
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/assets/{name}",
        asset,
        "Pages",
        "A style sheet or module of a page",
        "`sluice-client.js` is the upload client as an ES module; pages of other origins import it where CORS permits.",
        responses=_responses("*/*", "The file"),
        errors=("ROUTE_NOT_FOUND", "PRECONDITION_FAILED"),
        response_headers=_HEADERS,
        access=access.PUBLIC,
    ),
)
