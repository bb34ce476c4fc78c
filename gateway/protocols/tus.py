"""tus 1.0 (https://tus.io/protocols/resumable-upload) over uploads: core, creation, creation-with-upload,
creation-defer-length, expiration, checksum, termination, concatenation."""

from __future__ import annotations

from aiohttp import web

from gateway.http import bodies
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.protocols import concatenation, metadata
from gateway.protocols.creating import append_first, location_headers, register, status_headers
from gateway.protocols.dialects import require_tus_version
from gateway.protocols.digests import digest_of_body
from gateway.protocols.fields import media_type, whole_number
from gateway.protocols.limits import expires_header
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Status

BODY_TYPE = "application/offset+octet-stream"


async def create(request: web.Request) -> web.StreamResponse:
    require_tus_version(request)
    joins = concatenation.parse(request.headers.getall(concatenation.FIELD, []))
    if isinstance(joins, concatenation.Joined):
        return await concatenation.create_final(request, joins)
    bodies.refuse_encoded(request)
    size_bytes = _length(request)
    body_bytes = bodies.declared_bytes(request)
    if body_bytes != 0:
        _require_type(request)
    if size_bytes is not None and body_bytes is not None and body_bytes > size_bytes:
        raise RequestError("APPEND_TOO_LONG", size_bytes=size_bytes, end_bytes=body_bytes)
    digest = digest_of_body(request)
    detail, created = await register(request, size_bytes, partial=joins)
    position = await append_first(request, detail, bodies.chunks(request), digest, created=created)
    headers = {**location_headers(request, detail), "Upload-Offset": str(position.offset)}
    if not position.complete:
        headers |= expires_header(detail)
    return web.Response(status=201, headers=headers)


async def append(request: web.Request) -> web.StreamResponse:
    require_tus_version(request)
    bodies.refuse_encoded(request)
    _require_type(request)
    offset = whole_number(request, "Upload-Offset")
    if offset is None:
        raise RequestError("UPLOAD_HEADER_INVALID", header="Upload-Offset", reason="say where the body belongs")
    digest = digest_of_body(request)
    services, name = request.app[SERVICES], upload_id(request)
    announced = whole_number(request, "Upload-Length")
    with concatenation.naming_a_final():
        position = await services.appender.append(
            name, offset, bodies.chunks(request), bodies.declared_bytes(request), digest, size_bytes=announced
        )
    headers = {"Upload-Offset": str(position.offset)}
    if not position.complete:
        headers |= expires_header(await services.lookup.detail(name))
    return web.Response(status=204, headers=headers)


async def show_headers(request: web.Request, name: str, offset: int) -> dict[str, str]:
    """What HEAD says about an upload."""
    detail = await request.app[SERVICES].lookup.detail(name)
    known = detail.upload.deferred is None
    headers = {
        "Upload-Offset": str(offset),
        **({"Upload-Length": str(detail.upload.size_bytes)} if known else {"Upload-Defer-Length": "1"}),
        "Cache-Control": "no-store",
        **concatenation.concat_header(detail.upload),
        **status_headers(request, name),
    }
    if sent := metadata.serialize(detail.upload.metadata):
        headers["Upload-Metadata"] = sent
    held = detail.upload.status is Status.HELD
    if held or not known or offset < detail.upload.size_bytes:
        headers |= expires_header(detail)
    return headers


def _length(request: web.Request) -> int | None:
    """The length that a creation announces; None: it is to be announced later. Raises RequestError
    UPLOAD_LENGTH_REQUIRED, UPLOAD_HEADER_INVALID."""
    size_bytes = whole_number(request, "Upload-Length")
    deferred = request.headers.getall("Upload-Defer-Length", [])
    if deferred and (deferred != ["1"] or size_bytes is not None):
        reason = "its value is 1, and Upload-Length is not sent with it"
        raise RequestError("UPLOAD_HEADER_INVALID", header="Upload-Defer-Length", reason=reason)
    if size_bytes is None and not deferred:
        raise RequestError("UPLOAD_LENGTH_REQUIRED")
    return size_bytes


def _require_type(request: web.Request) -> None:
    if media_type(request) != BODY_TYPE:
        sent = request.headers.get("Content-Type", "")
        raise RequestError("CONTENT_TYPE_NOT_SUPPORTED", content_type=sent[:127], expected=BODY_TYPE)
