"""Request bodies: bounded in size and time, never inflated, and not asked for before somebody wants them.

Guarantee: "100 Continue" is sent at the moment a body is first read, so every refusal that comes before costs the
client no byte (RFC 9110 section 10.1.1). A client that goes away in mid-body is a ConnectionError, framing that is
broken REQUEST_MALFORMED: no exception of the HTTP library's own leaves this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from gateway.options import OPTIONS
from pipeline.core.errors import RequestError

T = TypeVar("T", bound=BaseModel)

_JSON_TYPES = frozenset({"application/json", "text/json"})


def refuse_encoded(request: web.Request) -> None:
    """Raises RequestError ENCODING_NOT_SUPPORTED: a body is taken as it is, so what is small on the wire is small
    here too."""
    for encoding in request.headers.getall("Content-Encoding", []):
        if encoding.strip().lower() not in {"", "identity"}:
            raise RequestError("ENCODING_NOT_SUPPORTED", encoding=encoding[:64])


def declared_bytes(request: web.Request) -> int | None:
    """The length the client announced, None for a chunked body. Without either the body is empty (RFC 9112 section
    6.3)."""
    if request.content_length is not None:
        return request.content_length
    return None if request.body_exists else 0


async def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes in, block by block. Raises ConnectionError when its sender is gone, RequestError
    REQUEST_MALFORMED."""
    await _continue(request)
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (web.RequestPayloadError, HttpProcessingError):
        raise RequestError("REQUEST_MALFORMED", reason="the framing of the body is broken") from None


async def parse_json(
    request: web.Request, model: type[T], *, any_type: bool = False, limit_bytes: int | None = None
) -> T:
    """The body as a `model`; with `any_type`, whatever its Content-Type says; `limit_bytes` long at most, else as the
    gateway's options say. Raises RequestError: ENCODING_NOT_SUPPORTED, CONTENT_TYPE_NOT_SUPPORTED, BODY_TOO_LARGE,
    BODY_TIMEOUT, BODY_NOT_JSON, VALIDATION_FAILED."""
    refuse_encoded(request)
    # A page of another origin may send text/plain unasked, but not JSON: this is what makes its browser ask first
    # (preflight).
    if not any_type and request.content_type not in _JSON_TYPES:
        raise RequestError(
            "CONTENT_TYPE_NOT_SUPPORTED", content_type=request.content_type[:127], expected="application/json"
        )
    body = await _read(request, limit_bytes or request.app[OPTIONS].json_limit_bytes)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise RequestError("BODY_NOT_JSON", reason=first["msg"].removeprefix("Invalid JSON: ")) from None
        if not first["loc"] and first["type"] == "model_type":
            raise RequestError("BODY_NOT_JSON", reason="it is JSON, but not an object") from None
        raise invalid(error) from None


def invalid(error: ValidationError) -> RequestError:
    """What pydantic found, without what the client sent: `detail.fields` is a list of {field, message}."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [{"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in found]
    return RequestError("VALIDATION_FAILED", fields=fields[:100])


def invalid_field(field: str, message: str) -> RequestError:
    return RequestError("VALIDATION_FAILED", fields=[{"field": field, "message": message}])


async def _read(request: web.Request, limit: int) -> bytes:
    options = request.app[OPTIONS]
    if (request.content_length or 0) > limit:
        raise RequestError("BODY_TOO_LARGE", limit_bytes=limit)
    body = bytearray()
    try:
        async with asyncio.timeout(options.body_seconds):
            async for chunk in chunks(request):
                body += chunk
                if len(body) > limit:
                    raise RequestError("BODY_TOO_LARGE", limit_bytes=limit)
    except ConnectionError:
        raise RequestError("REQUEST_MALFORMED", reason="the connection ended before the body did") from None
    except TimeoutError:
        raise RequestError("BODY_TIMEOUT", timeout_seconds=options.body_seconds) from None
    return bytes(body)


async def _continue(request: web.Request) -> None:
    """Ask for the body if the client waits to be asked."""
    if request.version < HttpVersion11 or request.headers.get("Expect", "").lower() != "100-continue":
        return
    if request.content.at_eof():
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # nothing of the answer itself is on its way yet
