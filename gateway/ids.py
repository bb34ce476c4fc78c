"""The ids of uploads and contents in paths."""

from __future__ import annotations

import re

from aiohttp import web

from pipeline.core.errors import RequestError

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def upload_id(request: web.Request) -> str:
    """The upload's id in the path. Raises RequestError UPLOAD_NOT_FOUND, without a lookup, for what cannot be an id."""
    return _identifier(request, "UPLOAD_NOT_FOUND", "upload_id")


def content_id(request: web.Request) -> str:
    """The content's id in the path. Raises RequestError CONTENT_NOT_FOUND, without a lookup, for what cannot be one."""
    return _identifier(request, "CONTENT_NOT_FOUND", "content_id")


def _identifier(request: web.Request, code: str, name: str) -> str:
    value = request.match_info["id"]
    if not _ID.fullmatch(value):
        raise RequestError(code, **{name: value[:64]})
    return value
