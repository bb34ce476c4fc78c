"""The routes of /files/, where resumable uploads of tus 1.0 and of the IETF draft share one endpoint.

Guarantee: they are the same uploads as those of /v1/uploads: admission, limits, owners, events and errors are shared.
Every response but that of OPTIONS carries Tus-Resumable.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway import access
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.protocols import concatenation, draft, tus
from gateway.protocols.declarations import (
    APPEND_ERRORS,
    BODY_FIELDS,
    CAPABILITIES,
    CONCAT_HEADER,
    CREATE_ERRORS,
    CREATION_FIELDS,
    INTEROP_FIELD,
    LENGTH_FIELD,
    OFFSET_HEADER,
    REMOVE_ERRORS,
    RESUMABLE,
    SHOW_ERRORS,
    STATUS_HEADERS,
    TUS_FIELD,
    WHOLE,
)
from gateway.protocols.dialects import NEWEST, PARTIAL_UPLOAD, dialect_of, require_tus_version
from gateway.protocols.failures import error_form
from gateway.protocols.limits import limit_field
from gateway.routing import METHOD_OVERRIDE, RequestHeader, ResponseSpec, Route, methods_of
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED
from pipeline.uploads.lookup import ended_error
from schemas.files import FileView
from schemas.http import AllowedMethods
from schemas.placement import PlacementQuery

_ENDPOINT: Final = "/files/"
_FILE: Final = "/files/{id}"
_TAG: Final = "Resumable uploads"


async def options(request: web.Request) -> web.StreamResponse:
    resource = request.match_info.route.resource
    allowed = methods_of(ROUTES, resource.canonical if resource else _ENDPOINT)
    headers = {"Upload-Limit": limit_field(request, NEWEST, None)}
    return success(AllowedMethods(allowed=list(allowed)), headers=headers)


async def create(request: web.Request) -> web.StreamResponse:
    dialect = dialect_of(request)
    return await (tus.create(request) if dialect.is_tus else draft.create(request, dialect))


async def show(request: web.Request) -> web.StreamResponse:
    dialect = dialect_of(request)
    if dialect.is_tus:
        require_tus_version(request)
    else:
        draft.refuse_state(request)
    name = upload_id(request)
    try:
        position = await request.app[SERVICES].appender.position(name)
    except RequestError as error:
        if error.code != "TRANSPORT_DIFFERS" or not dialect.is_tus:
            raise
        return await concatenation.show_final(request, name, error)
    if dialect.is_tus:
        headers = await tus.show_headers(request, name, position.offset)
    else:
        headers = await draft.show_headers(request, dialect, name, position.offset)
    view = FileView(
        id=name,
        offset=position.offset,
        size=position.upload.size_bytes if position.upload.deferred is None else None,
        complete=position.complete,
        upload=f"{base_url(request)}/v1/uploads/{name}",
    )
    return success(view, headers=headers)


async def append(request: web.Request) -> web.StreamResponse:
    dialect = dialect_of(request)
    return await (tus.append(request) if dialect.is_tus else draft.append(request, dialect))


async def remove(request: web.Request) -> web.StreamResponse:
    if dialect_of(request).is_tus:
        require_tus_version(request)
    else:
        draft.refuse_state(request)
    services, name = request.app[SERVICES], upload_id(request)
    upload = (await services.lookup.detail(name)).upload
    if upload.status in ENDED:
        raise ended_error(upload)
    await services.creation.cancel(name)
    return web.Response(status=204)


async def override(request: web.Request) -> web.StreamResponse:
    """POST without the header: with it, `gateway.app` calls the handler of the method that it names."""
    raise RequestError("UPLOAD_HEADER_INVALID", header=METHOD_OVERRIDE, reason="it names PATCH, DELETE, HEAD or GET")


ROUTES: tuple[Route, ...] = (
    Route(
        "OPTIONS",
        _ENDPOINT,
        options,
        _TAG,
        "Show what the endpoint supports",
        "The versions and extensions of tus, and the limits of the IETF draft. The URL of an upload shows the same.",
        responses=(
            ResponseSpec(200, "Methods and capabilities", AllowedMethods, headers={"Upload-Limit": "The limits"}),
        ),
        response_headers=CAPABILITIES,
        aliases=("/files", _FILE),
        access=access.PUBLIC,
    ),
    Route(
        "POST",
        _ENDPOINT,
        create,
        _TAG,
        "Create a resumable upload",
        "Creation of tus 1.0 (creation, creation-with-upload, creation-defer-length), or of the IETF draft. The body, "
        "if there is one, is the beginning of the file. While the upload waits for room, the body is not read, and the "
        "response says `Upload-Offset: 0`. If the length of the file is not known yet, a later request announces it. A "
        "final upload (concatenation) consists of partial uploads; its creation has neither a length nor a body.",
        responses=(
            ResponseSpec(
                201,
                "The new upload",
                media_type="",
                headers={
                    "Location": "URL of the upload at this endpoint",
                    "Sluice-Upload-Token": "A token for this upload only",
                    **STATUS_HEADERS,
                    **OFFSET_HEADER,
                },
            ),
        ),
        errors=CREATE_ERRORS,
        query=PlacementQuery,
        request_headers=(*BODY_FIELDS, *CREATION_FIELDS),
        response_headers=RESUMABLE,
        new_work=True,
        aliases=("/files",),
        error_form=error_form(CREATE_ERRORS),
        access=access.CREATE,
    ),
    Route(
        "GET",
        _FILE,
        show,
        _TAG,
        "Show how far an upload has come",
        "HEAD is what resumable clients send. A request that appends to the upload at the same time is ended, so that "
        "the offset holds; to watch an upload, use `Link`. `Upload-Length` is sent once the length is known; to tus "
        "clients, `Upload-Defer-Length: 1` before that.",
        responses=(
            ResponseSpec(
                200,
                "The offset",
                FileView,
                headers={**OFFSET_HEADER, **STATUS_HEADERS, **CONCAT_HEADER},
            ),
        ),
        errors=SHOW_ERRORS,
        request_headers=(TUS_FIELD, INTEROP_FIELD),
        response_headers=RESUMABLE,
        overridable=True,
        error_form=error_form(SHOW_ERRORS, asks=True),
        access=access.APPEND,
    ),
    Route(
        "PATCH",
        _FILE,
        append,
        _TAG,
        "Append to an upload",
        "The body is the bytes from `Upload-Offset` on, as many as the client likes. While there is no room for them, "
        "the request is held without reading its body, and then refused with 423. Of two requests at once, the newer "
        "one continues; what the older one had sent counts.",
        responses=(
            ResponseSpec(204, "The bytes count", media_type="", headers=OFFSET_HEADER),
            ResponseSpec(201, "The bytes count (interop versions 5 and 6)", media_type="", headers=OFFSET_HEADER),
        ),
        errors=APPEND_ERRORS,
        request_headers=(
            *BODY_FIELDS,
            RequestHeader("Upload-Offset", "Where the body belongs.", WHOLE, "0"),
            LENGTH_FIELD,
        ),
        raw_body="Bytes of the file, without Content-Encoding",
        raw_types=(tus.BODY_TYPE, PARTIAL_UPLOAD),
        response_headers=RESUMABLE,
        new_work=True,
        overridable=True,
        error_form=error_form(APPEND_ERRORS),
        access=access.APPEND,
    ),
    Route(
        "DELETE",
        _FILE,
        remove,
        _TAG,
        "End an upload",
        "Its data is removed soon after. An upload that has become a content has ended: delete the content.",
        responses=(ResponseSpec(204, "The upload is cancelled", media_type=""),),
        errors=REMOVE_ERRORS,
        request_headers=(TUS_FIELD, INTEROP_FIELD),
        response_headers=RESUMABLE,
        new_work=True,
        overridable=True,
        error_form=error_form(REMOVE_ERRORS),
        access=access.TERMINATE,
    ),
    Route(
        "POST",
        _FILE,
        override,
        _TAG,
        "Send another method as POST",
        f"For clients that cannot send every method: `{METHOD_OVERRIDE}` names the method, and the request is served "
        "as one with that method.",
        responses=(
            ResponseSpec(200, "As GET", FileView),
            ResponseSpec(204, "As PATCH or DELETE", media_type=""),
            ResponseSpec(201, "As PATCH", media_type=""),
        ),
        errors=tuple(dict.fromkeys((*SHOW_ERRORS, *APPEND_ERRORS, *REMOVE_ERRORS, "METHOD_NOT_ALLOWED"))),
        request_headers=(
            RequestHeader(
                METHOD_OVERRIDE, "The method.", {"type": "string", "enum": ["PATCH", "DELETE", "HEAD", "GET"]}, "HEAD"
            ),
            *(TUS_FIELD, INTEROP_FIELD),
        ),
        response_headers=RESUMABLE,
        overridable=True,
        error_form=error_form(tuple(dict.fromkeys((*SHOW_ERRORS, *APPEND_ERRORS, *REMOVE_ERRORS))), asks=True),
        access=access.APPEND,
    ),
)
