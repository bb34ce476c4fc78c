"""The IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload) over uploads: interop versions 8, 6
and 5.

An upload whose bytes have all arrived is complete, whatever Upload-Complete says: tus-js-client sends `?0` with the
last bytes of a file that it reads as a stream. Without Upload-Length at the creation, the length becomes known with a
later Upload-Length, or at the end of a body with `?1`. No informational responses (104) are sent: some proxies take
them for the final response. A creation without bytes, followed by appends, needs none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from gateway.http import bodies
from gateway.http.state import OPTIONS
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.protocols.creating import append_first, location_headers, register, status_headers
from gateway.protocols.dialects import PARTIAL_UPLOAD, Dialect
from gateway.protocols.digests import digest_of_body
from gateway.protocols.fields import boolean, integer, item, media_type
from gateway.protocols.limits import limit_field
from pipeline.core.errors import RequestError, SluiceError
from pipeline.uploads.append import Position


async def create(request: web.Request, dialect: Dialect) -> web.StreamResponse:
    bodies.refuse_encoded(request)
    complete = _complete(request)
    size_bytes = _length(request, complete=complete)
    body = _limited(request)
    digest = digest_of_body(request)
    detail, created = await register(request, size_bytes)
    position = await append_first(request, detail, body, digest, created=created, ends=complete)
    done = position.complete and (complete or dialect.is_early)
    headers = {
        **location_headers(request, detail),
        "Upload-Offset": str(position.offset),
        "Upload-Complete": item(done),
        "Upload-Limit": limit_field(request, dialect, None if done else detail),
    }
    return web.Response(status=201, headers=headers)


async def append(request: web.Request, dialect: Dialect) -> web.StreamResponse:
    bodies.refuse_encoded(request)
    if dialect.interop != 5 and media_type(request) != PARTIAL_UPLOAD:
        sent = request.headers.get("Content-Type", "")
        raise RequestError("CONTENT_TYPE_NOT_SUPPORTED", content_type=sent[:127], expected=PARTIAL_UPLOAD)
    complete = _complete(request)
    offset = integer(request, "Upload-Offset")
    if offset is None:
        raise RequestError("UPLOAD_HEADER_INVALID", header="Upload-Offset", reason="say where the body belongs")
    body = _limited(request)
    digest = digest_of_body(request)
    name = upload_id(request)
    appender = request.app[SERVICES].appender
    announced = integer(request, "Upload-Length")
    await _require_lengths(request, name, offset, announced, complete=complete)
    try:
        position = await appender.append(
            name, offset, body, bodies.declared_bytes(request), digest, size_bytes=announced, ends=complete
        )
        if position.complete and position.offset == offset and await _has_bytes(request, body):
            size_bytes = position.upload.size_bytes
            raise RequestError("APPEND_TOO_LONG", size_bytes=size_bytes, end_bytes=size_bytes + 1)
    except RequestError as error:
        if error.code == "APPEND_TOO_LONG" and not dialect.is_early:
            await _invalidate(request, name)
        raise
    if complete and not position.complete:  # a body of unknown length has ended too early
        size_bytes = position.upload.size_bytes
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=size_bytes, announced_bytes=position.offset)
    return await _appended(request, dialect, position, complete=complete)


async def show_headers(request: web.Request, dialect: Dialect, name: str, offset: int) -> dict[str, str]:
    """What HEAD says about an upload."""
    detail = await request.app[SERVICES].lookup.detail(name)
    known = detail.upload.deferred is None
    return {
        "Upload-Offset": str(offset),
        **({"Upload-Length": str(detail.upload.size_bytes)} if known else {}),
        "Upload-Complete": item(known and offset == detail.upload.size_bytes),
        "Upload-Limit": limit_field(request, dialect, detail),
        "Cache-Control": "no-store",
        **status_headers(request, name),
    }


def refuse_state(request: web.Request) -> None:
    """A request that asks for the state of an upload, or ends it, says nothing about it (MUST of the versions up to 6).
    Raises RequestError UPLOAD_HEADER_INVALID."""
    for name in ("Upload-Offset", "Upload-Complete", "Upload-Length"):
        if name in request.headers:
            raise RequestError("UPLOAD_HEADER_INVALID", header=name, reason="this request does not carry it")


async def _appended(
    request: web.Request, dialect: Dialect, position: Position, *, complete: bool
) -> web.StreamResponse:
    done = position.complete and (complete or dialect.is_early)
    detail = None if done else await request.app[SERVICES].lookup.detail(position.upload.upload_id)
    headers = {
        "Upload-Offset": str(position.offset),
        "Upload-Complete": item(done),
        "Upload-Limit": limit_field(request, dialect, detail),
    }
    return web.Response(status=201 if dialect.is_early else 204, headers=headers)


async def _require_lengths(
    request: web.Request, name: str, offset: int, announced: int | None, *, complete: bool
) -> None:
    """Compare what the request says about the length with the upload's, if that is known. Raises RequestError
    UPLOAD_LENGTH_DIFFERS, APPEND_OFFSET_WRONG, and as `Appender.position`."""
    body_bytes = bodies.declared_bytes(request)
    end = offset + body_bytes if complete and body_bytes is not None else None
    if announced is None and end is None:
        return
    upload = (await request.app[SERVICES].lookup.detail(name)).upload
    if upload.deferred is not None:
        return
    size_bytes = upload.size_bytes
    differs = next((value for value in (announced, end) if value not in (None, size_bytes)), None)
    if differs is None:
        return
    position = await request.app[SERVICES].appender.position(name)
    if position.offset != offset:
        raise RequestError("APPEND_OFFSET_WRONG", offset=position.offset, sent_offset=offset)
    if differs == announced or differs < size_bytes:  # a body that is too long is refused by the append
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=size_bytes, announced_bytes=differs)


async def _invalidate(request: web.Request, name: str) -> None:
    """A client that sends more than it has announced is confused about its file: the upload ends (MUST), also if all
    that was announced has arrived. A content that has been made of it stays."""
    with suppress(SluiceError):
        await request.app[SERVICES].creation.cancel(name)


async def _has_bytes(request: web.Request, body: AsyncIterator[bytes]) -> bool:
    """Whether a body of unknown length, which was not read, has bytes. False if its client does not send the rest."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(request.app[OPTIONS].body_seconds):
            async for block in body:
                if block:
                    return True
    return False


def _complete(request: web.Request) -> bool:
    complete = boolean(request, "Upload-Complete")
    if complete is None:
        raise RequestError("UPLOAD_HEADER_INVALID", header="Upload-Complete", reason="its value is ?0 or ?1")
    return complete


def _length(request: web.Request, *, complete: bool) -> int | None:
    """The length that a creation announces; None: it becomes known later. Raises RequestError UPLOAD_LENGTH_DIFFERS,
    APPEND_TOO_LONG."""
    announced = integer(request, "Upload-Length")
    body_bytes = bodies.declared_bytes(request)
    size_bytes = announced if announced is not None or not complete else body_bytes
    if size_bytes is None:
        return None
    if complete and body_bytes not in (None, size_bytes):
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=size_bytes, announced_bytes=body_bytes)
    if body_bytes is not None and body_bytes > size_bytes:
        raise RequestError("APPEND_TOO_LONG", size_bytes=size_bytes, end_bytes=body_bytes)
    return size_bytes


def _limited(request: web.Request) -> AsyncIterator[bytes]:
    """The body, up to the size that Upload-Limit announces. Raises RequestError BODY_TOO_LARGE, at once for a body of
    known length."""
    most = request.app[OPTIONS].append_limit_bytes
    if not most:
        return bodies.chunks(request)
    if (bodies.declared_bytes(request) or 0) > most:
        raise RequestError("BODY_TOO_LARGE", limit_bytes=most)
    return _up_to(bodies.chunks(request), most)


async def _up_to(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in body:
        received += len(chunk)
        if received > most:
            raise RequestError("BODY_TOO_LARGE", limit_bytes=most)
        yield chunk
