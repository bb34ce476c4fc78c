"""The API's description: for programs at /openapi.json, for people at /docs.

Guarantee: /docs is one document that asks for nothing but /openapi.json: no other host, no font, no image. Its content
security policy says so to the browser, with the hashes of its one style sheet and its one script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files

from aiohttp import web

from gateway.openapi import DOCUMENT
from gateway.routing import JSON, Answer, Route


async def openapi(request: web.Request) -> web.StreamResponse:
    body = json.dumps(request.app[DOCUMENT], ensure_ascii=False).encode()
    return web.Response(body=body, content_type=JSON, headers={"Cache-Control": "no-cache"})


async def docs(request: web.Request) -> web.StreamResponse:
    page, policy = _page()
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}
    return web.Response(text=page, content_type="text/html", headers=headers)


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets it do what it does and nothing else."""
    folder = files("gateway.pages")
    style, script = ((folder / name).read_text("utf-8") for name in ("docs.css", "docs.js"))
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
        "Made from the routes and models that are served. Not in the envelope.",
        answers=(Answer(200, "The document"),),
    ),
    Route(
        "GET",
        "/docs",
        docs,
        "Description",
        "This API for people",
        "One self-contained page, with the catalogue of errors.",
        answers=(Answer(200, "The page", media_type="text/html"),),
    ),
)
