"""The ids of uploads, contents and webhooks in paths."""

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


def webhook_id(request: web.Request) -> str:
    """The webhook's id in the path. Raises RequestError WEBHOOK_NOT_FOUND, without a lookup, for what cannot be one."""
    return _identifier(request, "WEBHOOK_NOT_FOUND", "webhook_id", "webhook")


def _identifier(request: web.Request, code: str, name: str, variable: str = "id") -> str:
    value = request.match_info[variable]
    if not _ID.fullmatch(value):
        raise RequestError(code, **{name: value[:64]})
    return value
