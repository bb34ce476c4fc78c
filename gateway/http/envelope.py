"""Builds the envelope of JSON responses. Only /openapi.json, events and files are sent without it.

Guarantee: one shape (`schemas.http`), real HTTP status codes, and `Retry-After` wherever waiting helps. A response
holds only the error's code, message and detail, never a traceback, and of a server error no path of the server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from pipeline.core.errors import OtherCell, SluiceError
from pipeline.hidden_paths import without_paths
from schemas.http import ErrorBody, Failure, Success

REQUEST_ID = web.RequestKey("request_id", str)

SERVER = "sluice"
"""The Server header. It replaces aiohttp's default, which names library versions."""

STANDARD_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every response that does not set them itself."""

UNAVAILABLE_SECONDS = 2
"""Retry-After of a server error that names no time: long enough to avoid hammering, short enough to go unnoticed."""

AT_ONCE_SECONDS = 1
"""Retry-After of a client error that names no time: the request was damaged or too slow; repeat it at once."""

PROBLEM = "application/problem+json"
"""The media type of an error that has members of RFC 9457."""

_REASON_CHARACTERS = 240
_NOT_REASON = re.compile(r"[^\x20-\x7e]")
"""What is not shown in a reason phrase (RFC 9112 section 4 allows more, which clients decode in different ways)."""

T = TypeVar("T", bound=BaseModel)


def success(data: T, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """`data` in the envelope."""
    envelope: Any = Success
    body: Success[T] = envelope[type(data)](status=status, data=data)
    return web.Response(
        status=status, body=body.model_dump_json().encode(), content_type="application/json", headers=headers
    )


def failure(
    error: SluiceError,
    path: str,
    request_id: str,
    *,
    status: int | None = None,
    problem: Mapping[str, Any] | None = None,
) -> web.Response:
    """`error` in the envelope, with its status and the headers that this status requires. Retry-After: see
    `retry_after` (RFC 9110 section 10.2.3). `status` replaces that of the catalogue. `problem`: members of RFC 9457
    that the envelope gets as well."""
    status = status or error.http_status
    detail: dict[str, Any] = to_jsonable_python(error.detail, fallback=str, inf_nan_mode="null")
    message = error.message
    if error.http_status >= 500:  # what others name is their own text
        message, detail = without_paths(message), without_paths(detail)
    body = Failure(
        status=status,
        error=ErrorBody(code=error.code, message=message, path=path, request_id=request_id, detail=detail),
    )
    headers: dict[str, str] = {}
    if (seconds := retry_after(error)) is not None:
        headers["Retry-After"] = str(seconds)
    if isinstance(error, OtherCell):
        headers["Location"] = error.location
    if error.code == "METHOD_NOT_ALLOWED":
        headers["Allow"] = error.detail["allowed"]
    if error.code == "RANGE_NOT_SATISFIABLE":
        headers["Content-Range"] = f"bytes */{error.detail['size_bytes']}"
    text = body.model_dump_json() if problem is None else json.dumps({**problem, **body.model_dump(mode="json")})
    content_type = "application/json" if problem is None else PROBLEM
    return web.Response(status=status, body=text.encode(), content_type=content_type, headers=headers)


def plain_failure(error: SluiceError, path: str, request_id: str) -> web.Response:
    """As `failure`, for clients of other protocols that show an error and do not know the envelope: the message, with
    the code, is also in the member `message` and, over HTTP/1.1, in the reason phrase."""
    response = failure(error, path, request_id)
    body = json.loads(response.body)  # type: ignore[arg-type]  # it is bytes, as `failure` has made it
    message = f"{body['error']['message']} ({error.code})"
    response.body = json.dumps(body | {"message": message}).encode()
    reason = _NOT_REASON.sub("?", message)[:_REASON_CHARACTERS]
    response.set_status(response.status, reason)
    return response


def retry_after(error: SluiceError) -> int | None:
    """Whole seconds until the same request may succeed; None where waiting does not help."""
    asked = error.detail.get("retry_after_seconds", getattr(error, "retry_after_seconds", None))
    if isinstance(asked, int | float) and math.isfinite(asked):
        return max(1, math.ceil(asked))
    if not error.retryable:
        return None
    return UNAVAILABLE_SECONDS if error.http_status >= 500 else AT_ONCE_SECONDS
