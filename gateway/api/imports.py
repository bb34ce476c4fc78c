"""The route by which an object that is in the store already becomes a content."""

from __future__ import annotations

from aiohttp import web

from gateway.api.views import import_view
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.options import SERVICES
from gateway.routing import Answer, Route
from schemas.imports import ImportObject, ImportView


async def take(request: web.Request) -> web.StreamResponse:
    imported = await request.app[SERVICES].importer.take(await parse_json(request, ImportObject))
    location = f"{base_url(request)}/v1/uploads/{imported.upload_id}"
    return success(import_view(imported), 201 if imported.created else 200, headers={"Location": location})


_LOCATION = {"Location": "URL of the import's upload, as long as its status is kept"}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/contents/import",
        take,
        "Contents",
        "Import an object",
        "An object that is in the store already becomes a content: its metadata is read, its thumbnail made. It stays "
        "where it is and is never changed. The import waits for room like any upload; the same version of an object "
        "twice is one content.",
        answers=(
            Answer(201, "The import, newly begun", ImportView, headers=_LOCATION),
            Answer(200, "This version of the object was imported before", ImportView, headers=_LOCATION),
        ),
        errors=(
            "BODY_NOT_JSON",
            "BODY_TOO_LARGE",
            "BODY_TIMEOUT",
            "CONTENT_TYPE_NOT_SUPPORTED",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            "IMPORT_NOT_ALLOWED",
            "IMPORT_OWN_OBJECT",
            "IMPORT_OBJECT_MISSING",
            "IMPORT_EMPTY",
            "FILE_TOO_LARGE_FOR_VOLUME",
            "STORE_UNAVAILABLE",
            "STORE_AUTH_FAILED",
            "STORE_REJECTED",
            "REDIS_UNAVAILABLE",
            "DATABASE_UNAVAILABLE",
            "TEMP_VOLUME_FULL",
            "TEMP_VOLUME_FAILED",
        ),
        body=ImportObject,
        new_work=True,
    ),
)
