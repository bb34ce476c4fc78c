"""What the families of routes have in common: identifiers in paths, lists, and the codes of what the gateway stands
on."""

from __future__ import annotations

import re
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.http.bodies import invalid
from pipeline.core.errors import RequestError

Q = TypeVar("Q", bound=BaseModel)

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

LIMIT_DEFAULT = 50
LIMIT_MAX = 200


def upload_id(request: web.Request) -> str:
    """The upload's id in the path. What cannot be an id is not looked up. Raises RequestError UPLOAD_NOT_FOUND."""
    return _identifier(request, "UPLOAD_NOT_FOUND", "upload_id")


def content_id(request: web.Request) -> str:
    """The content's id in the path. Raises RequestError CONTENT_NOT_FOUND."""
    return _identifier(request, "CONTENT_NOT_FOUND", "content_id")


def parse_query(request: web.Request, model: type[Q]) -> Q:
    """The query string as a `model`; a parameter given twice counts as it came last. Raises RequestError
    VALIDATION_FAILED."""
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error) from None


def _identifier(request: web.Request, code: str, name: str) -> str:
    value = request.match_info["id"]
    if not _ID.fullmatch(value):
        raise RequestError(code, **{name: value[:64]})
    return value
