"""The envelope: every JSON answer of the gateway is made here.

Guarantee: one shape (`schemas.http`), real status codes, `Retry-After` wherever waiting helps, and nothing in an answer
that is not meant for the client: an error that is not in the catalogue becomes INTERNAL.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from pipeline.core.errors import SluiceError
from schemas.http import ErrorBody, Failure, Success

REQUEST_ID = web.RequestKey("request_id", str)

SERVER = "sluice"
"""What the Server header says, in place of the versions of what we are built on."""

DEFAULT_RETRY_AFTER_SECONDS = 2
"""Where the error itself does not say: long enough not to hammer, short enough not to be noticed."""

T = TypeVar("T", bound=BaseModel)


def success(data: T, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """`data` in the envelope."""
    envelope: Any = Success
    body: Success[T] = envelope[type(data)](status=status, data=data)
    return web.Response(
        status=status, body=body.model_dump_json().encode(), content_type="application/json", headers=headers
    )


def failure(error: SluiceError, path: str, request_id: str) -> web.Response:
    """`error` in the envelope, with its status and, where it says when to come back, Retry-After (RFC 9110 section
    10.2.3)."""
    detail: dict[str, Any] = to_jsonable_python(error.detail, fallback=str, inf_nan_mode="null")
    body = Failure(
        status=error.http_status,
        error=ErrorBody(code=error.code, message=error.message, path=path, request_id=request_id, detail=detail),
    )
    headers: dict[str, str] = {}
    if (seconds := retry_after(error)) is not None:
        headers["Retry-After"] = str(seconds)
    if error.code == "METHOD_NOT_ALLOWED":
        headers["Allow"] = error.detail["allowed"]
    if error.code == "RANGE_NOT_SATISFIABLE":
        headers["Content-Range"] = f"bytes */{error.detail['size_bytes']}"
    if error.http_status == 401:  # RFC 9110 section 11.6.1; senders that know but a URL send its password only then
        headers["WWW-Authenticate"] = 'Basic realm="sluice", charset="UTF-8"'
    return web.Response(
        status=error.http_status, body=body.model_dump_json().encode(), content_type="application/json", headers=headers
    )


def retry_after(error: SluiceError) -> int | None:
    """Whole seconds until the same request may succeed; None where waiting does not help or nobody can know."""
    asked = error.detail.get("retry_after_seconds", getattr(error, "retry_after_seconds", None))
    if isinstance(asked, int | float) and math.isfinite(asked):
        return max(1, math.ceil(asked))
    if error.retryable and error.http_status in {503, 507}:
        return DEFAULT_RETRY_AFTER_SECONDS
    return None
