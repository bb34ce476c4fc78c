"""Request bodies: bounded in size and time, never decompressed, and requested only when a handler reads them.

Guarantee: "100 Continue" is sent when a body is first read, so a refusal before that costs the client no body bytes
(RFC 9110 section 10.1.1). A client that disconnects during a body raises ConnectionError; broken framing raises
REQUEST_MALFORMED. No exception of the HTTP library leaves this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from pydantic import BaseModel, ValidationError

from gateway.http.connection import FramingError, GatewayConnection, client_gone
from gateway.http.state import OPTIONS
from pipeline.core.errors import RequestError
from schemas import media_types

T = TypeVar("T", bound=BaseModel)

_JSON_TYPES = frozenset({"application/json", "text/json"})


def refuse_encoded(request: web.Request) -> None:
    """Raises RequestError ENCODING_NOT_SUPPORTED. Bodies are never decompressed, so a small body on the wire stays
    small in memory."""
    for encoding in request.headers.getall("Content-Encoding", []):
        if encoding.strip().lower() not in {"", "identity"}:
            raise RequestError("ENCODING_NOT_SUPPORTED", encoding=encoding[:64])


def declared_bytes(request: web.Request) -> int | None:
    """The Content-Length, or None for a chunked body. Without either header the body is empty (RFC 9112 section
    6.3)."""
    if request.content_length is not None:
        return request.content_length
    return None if request.body_exists else 0


def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body in blocks, as they arrive. Raises ConnectionError when the client has disconnected, RequestError
    REQUEST_MALFORMED."""
    return _Blocks(request)


class _Blocks(AsyncIterator[bytes]):
    """Where the length of a body is declared, a block is what one read has received, without a copy. The chunks of a
    chunked body may be single bytes, so a block is all of them that have arrived."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._content = request.content
        self._is_chunked = "Transfer-Encoding" in request.headers
        self._has_begun = False
        protocol = request.protocol
        self._connection = protocol if isinstance(protocol, GatewayConnection) else None

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            await _continue(self._request)
        if self._connection is not None:
            self._connection.read_on()
        try:
            block = await self._content.readany() if self._is_chunked else (await self._content.readchunk())[0]
        except (web.RequestPayloadError, HttpProcessingError) as error:
            reason = str(error) if isinstance(error, FramingError) else "the framing of the body is broken"
            raise RequestError("REQUEST_MALFORMED", reason=reason) from None
        except RuntimeError:  # of aiohttp, where the client had left before the first read
            if not client_gone(self._request).is_set():
                raise
            raise ConnectionResetError("the client has left") from None
        if self._connection is not None:
            self._connection.taken()
        if not block:
            raise StopAsyncIteration
        return block


def trailers(request: web.Request) -> CIMultiDict[str]:
    """The trailer fields of a chunked body that was read to its end, of a request whose head has the field Trailer.
    Raises RequestError REQUEST_MALFORMED."""
    protocol = request.protocol
    return protocol.trailers(request) if isinstance(protocol, GatewayConnection) else CIMultiDict()


def connection_ends(request: web.Request) -> bool:
    """Whether no other request may follow on this connection: the body was not read to its end (RFC 9112 section 9.3),
    or may have trailers (`gateway.http.connection`)."""
    protocol = request.protocol
    has_trailers = isinstance(protocol, GatewayConnection) and protocol.may_have_trailers(request)
    return has_trailers or not request.content.at_eof()


async def parse_json(
    request: web.Request, model: type[T], *, any_type: bool = False, limit_bytes: int | None = None
) -> T:
    """The body, validated as `model`. `any_type` accepts every Content-Type; `limit_bytes` replaces the limit of the
    gateway's options.

    Raises RequestError: ENCODING_NOT_SUPPORTED, CONTENT_TYPE_NOT_SUPPORTED, BODY_TOO_LARGE, BODY_TIMEOUT,
    BODY_NOT_JSON, VALIDATION_FAILED.
    """
    refuse_encoded(request)
    # A page of another origin can send text/plain without a preflight, but not JSON: this check forces the preflight.
    if not any_type:
        _require_json(request)
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


def _require_json(request: web.Request) -> None:
    sent = ", ".join(request.headers.getall("Content-Type", []))
    try:
        found = media_types.essence(media_types.parse(sent))
    except ValueError:
        found = ""
    if found not in _JSON_TYPES:
        raise RequestError("CONTENT_TYPE_NOT_SUPPORTED", content_type=sent[:127], expected="application/json")


def invalid(error: ValidationError) -> RequestError:
    """VALIDATION_FAILED with pydantic's findings, without the values that the client sent: `detail.fields` is a list of
    {field, message}."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [{"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in found]
    return RequestError("VALIDATION_FAILED", fields=fields[:100])


def invalid_field(field: str, message: str) -> RequestError:
    """VALIDATION_FAILED for one field."""
    return RequestError("VALIDATION_FAILED", fields=[{"field": field, "message": message}])


async def _read(request: web.Request, limit_bytes: int) -> bytes:
    options = request.app[OPTIONS]
    if (request.content_length or 0) > limit_bytes:
        raise RequestError("BODY_TOO_LARGE", limit_bytes=limit_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(options.body_seconds):
            async for chunk in chunks(request):
                body += chunk
                if len(body) > limit_bytes:
                    raise RequestError("BODY_TOO_LARGE", limit_bytes=limit_bytes)
    except ConnectionError:
        raise RequestError("REQUEST_MALFORMED", reason="the connection ended before the body did") from None
    except TimeoutError:
        raise RequestError("BODY_TIMEOUT", timeout_seconds=options.body_seconds) from None
    return bytes(body)


async def _continue(request: web.Request) -> None:
    """Send "100 Continue" if the client waits for it."""
    if request.version < HttpVersion11 or request.headers.get("Expect", "").lower() != "100-continue":
        return
    if request.content.at_eof():
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # aiohttp must still see that nothing of the final response was sent
