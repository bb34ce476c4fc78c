"""Routes of direct uploads: request more grants, and report that every segment was sent."""

from __future__ import annotations

from aiohttp import web

from gateway import access
from gateway.api.shared import segments_limit, show_upload
from gateway.api.views import grants_view
from gateway.error_codes import JSON_BODY_ERRORS, STORE_ERRORS, TEMP_VOLUME_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from schemas import examples
from schemas.uploads import GrantsView, GrantsWanted, UploadView


async def grants(request: web.Request) -> web.StreamResponse:
    name = upload_id(request)
    wanted = await parse_json(request, GrantsWanted)
    found = await request.app[SERVICES].direct.grants(name, wanted.segments, segments_limit(request))
    return success(grants_view(found))


async def complete(request: web.Request) -> web.StreamResponse:
    detail = await request.app[SERVICES].direct.complete(upload_id(request), segments_limit(request))
    return success(show_upload(request, detail))


_DIRECT_ERRORS = (
    *UPLOAD_LOOKUP_ERRORS,
    "UPLOAD_ENDED",
    "TRANSPORT_DIFFERS",
    "TRANSPORT_NOT_OFFERED",
    *STORE_ERRORS,
)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/uploads/{id}/grants",
        grants,
        "Uploads",
        "Get more grants",
        "For a direct upload: grants to send these segments to the store itself, at most 100 per response; `more` "
        "lists the ranges to request next. Each request restarts the time after which the upload expires.",
        responses=(ResponseSpec(200, "The grants", GrantsView),),
        errors=(*JSON_BODY_ERRORS, *_DIRECT_ERRORS, "UPLOAD_COMPLETE", "SEGMENT_OUT_OF_RANGE"),
        body=GrantsWanted,
        new_work=True,
        access=access.SEND,
    ),
    Route(
        "POST",
        "/v1/uploads/{id}/complete",
        complete,
        "Uploads",
        "Complete a direct upload",
        "Reports that every segment was sent to the store. The gateway compares this with what the store holds; "
        "segments that are missing or have the wrong length are listed in SEGMENTS_MISSING and must be sent again. "
        "Repeating the request is harmless.",
        responses=(
            ResponseSpec(
                200, "The upload, which continues without its client", UploadView, example=examples.UPLOAD_COMPLETED
            ),
        ),
        errors=(*_DIRECT_ERRORS, "SEGMENTS_MISSING", *TEMP_VOLUME_ERRORS),
        new_work=True,
        access=access.SEND,
    ),
)
