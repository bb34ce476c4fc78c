"""The route that makes a content of an object that is already in the store."""

from __future__ import annotations

from aiohttp import web

from gateway import access
from gateway.api.error_codes import DATABASE_ERRORS, JSON_BODY_ERRORS, REGISTRATION_ERRORS, STORE_ERRORS
from gateway.api.views import import_view
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.routing import ResponseSpec, Route
from schemas.imports import ImportObject, ImportView


async def take(request: web.Request) -> web.StreamResponse:
    if (limit := request.app[LIMITS].imports) is not None:
        limit.require(request[CALLER].owner)
    imported = await request.app[SERVICES].importer.take(await parse_json(request, ImportObject))
    shown = import_view(imported, base_url(request))
    location = shown.links.content or shown.links.self or ""
    return success(shown, 201 if imported.created else 200, headers={"Location": location})


_LOCATION = {"Location": "URL of the import's upload, `links.self`; of its content, `links.content`, once it is ready"}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/contents/import",
        take,
        "Contents",
        "Import an object",
        "Makes a content of an object that is already in the store: reads its metadata and creates a thumbnail. The "
        "object stays where it is and is never changed, and takes no room on the temp volume. Importing the same "
        "version of an object twice gives one content.",
        responses=(
            ResponseSpec(201, "The import has begun", ImportView, headers=_LOCATION),
            ResponseSpec(200, "This version of the object was imported before", ImportView, headers=_LOCATION),
        ),
        errors=(
            *JSON_BODY_ERRORS,
            "IMPORT_NOT_ALLOWED",
            "IMPORT_OWN_OBJECT",
            "IMPORT_OBJECT_MISSING",
            "IMPORT_EMPTY",
            "CONTENT_TYPE_NOT_MEDIA",
            *STORE_ERRORS,
            *DATABASE_ERRORS,
            *REGISTRATION_ERRORS,
        ),
        body=ImportObject,
        new_work=True,
        access=access.OPERATE,
    ),
)
