"""The API's description: /openapi.json for programs, /docs for people.

Guarantee: /docs is one self-contained document that requests nothing but /openapi.json: no other host, no font, no
image. Its content security policy enforces this, with the hashes of its one style sheet and its one script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import web

from gateway import access
from gateway.keys import DOCUMENT
from gateway.routing import JSON, ResponseSpec, Route

_SCRIPTS: Final = ("docs_fields.js", "docs_routes.js", "docs_events.js", "docs.js")
"""In this order, they are the one script of the page."""


async def openapi(request: web.Request) -> web.StreamResponse:
    return web.Response(body=json.dumps(request.app[DOCUMENT], ensure_ascii=False).encode(), content_type=JSON)


async def docs(request: web.Request) -> web.StreamResponse:
    page, policy = _page()
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


@cache
def _page() -> tuple[str, str]:
    """The page, and the content security policy that allows exactly what it does."""
    folder = files("gateway.pages")
    style = (folder / "docs.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    page = (folder / "docs.html").read_text("utf-8").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/openapi.json",
        openapi,
        "Description",
        "This API as OpenAPI 3.1",
        "Built from the routes and models that are served. Without the envelope.",
        responses=(ResponseSpec(200, "The document"),),
        response_headers={"Cache-Control": "no-cache"},
        access=access.ANY,
    ),
    Route(
        "GET",
        "/docs",
        docs,
        "Description",
        "This API for people",
        "One self-contained page: a guide, then every route with its fields, an example, a curl line and its errors.",
        responses=(
            ResponseSpec(
                200,
                "The page",
                media_type="text/html",
                headers={"Content-Security-Policy": "Allows the page's own script and style sheet only"},
            ),
        ),
        response_headers={"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"},
        access=access.ANY,
    ),
)
