"""Routes of direct uploads: more grants, and the word that everything was sent."""

from __future__ import annotations

from aiohttp import web

from gateway.api.shared import upload_id
from gateway.api.uploads import view
from gateway.api.views import grants_view
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.options import SERVICES
from gateway.routing import Answer, Route
from schemas.uploads import GrantsView, GrantsWanted, UploadView


async def grants(request: web.Request) -> web.StreamResponse:
    name = upload_id(request)
    wanted = await parse_json(request, GrantsWanted)
    return success(grants_view(await request.app[SERVICES].direct.grants(name, wanted.segments)))


async def complete(request: web.Request) -> web.StreamResponse:
    return success(view(request, await request.app[SERVICES].direct.complete(upload_id(request))))


_STORE = ("STORE_UNAVAILABLE", "STORE_AUTH_FAILED", "STORE_REJECTED")

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/uploads/{id}/grants",
        grants,
        "Uploads",
        "Get more grants",
        "For a direct upload: rights to send these segments to the store itself, at most 100 in one answer; `more` "
        "says for which to ask again. The upload's time to expire begins anew.",
        answers=(Answer(200, "The grants", GrantsView),),
        errors=(
            "BODY_NOT_JSON",
            "BODY_TOO_LARGE",
            "BODY_TIMEOUT",
            "CONTENT_TYPE_NOT_SUPPORTED",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            "UPLOAD_NOT_FOUND",
            "UPLOAD_ENDED",
            "UPLOAD_COMPLETE",
            "TRANSPORT_DIFFERS",
            "TRANSPORT_NOT_OFFERED",
            "SEGMENT_OUT_OF_RANGE",
            *_STORE,
            "REDIS_UNAVAILABLE",
        ),
        body=GrantsWanted,
        new_work=True,
    ),
    Route(
        "POST",
        "/v1/uploads/{id}/complete",
        complete,
        "Uploads",
        "Complete a direct upload",
        "Says that every segment was sent to the store. The store is asked what it holds; what is missing or has the "
        "wrong length is told, to be sent again. Saying it twice is harmless.",
        answers=(Answer(200, "The upload, which goes on by itself", UploadView),),
        errors=(
            "UPLOAD_NOT_FOUND",
            "UPLOAD_ENDED",
            "TRANSPORT_DIFFERS",
            "TRANSPORT_NOT_OFFERED",
            "SEGMENTS_MISSING",
            *_STORE,
            "REDIS_UNAVAILABLE",
            "TEMP_VOLUME_FULL",
            "TEMP_VOLUME_FAILED",
        ),
        new_work=True,
    ),
)
