"""The route that makes a content of an object that is already in the store.

Guarantee: clients of one owner that import again and again, however fast, cost little: more than the permitted rate is
refused, and a refusal takes `_REFUSAL_SECONDS`, so that a client that repeats at once does not occupy the gateway with
refusals.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from gateway import access
from gateway.api.views import import_view
from gateway.error_codes import DATABASE_ERRORS, JSON_BODY_ERRORS, REGISTRATION_ERRORS, STORE_ERRORS
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.placing import new_file, placed
from gateway.routing import ResponseSpec, Route
from pipeline.core.errors import LimitReached
from schemas.imports import ImportObject, ImportView
from schemas.placement import PlacementQuery

_REFUSAL_SECONDS: Final = 0.25


async def take(request: web.Request) -> web.StreamResponse:
    await _require_within_rate(request)
    wanted = await parse_json(request, ImportObject)
    importer = request.app[SERVICES].importer
    fixed = f"object {wanted.bucket or importer.default_bucket} {wanted.key}"  # so that it is imported once
    async with placed(request, new_file(request, 0, None, fixed=fixed)):
        imported = await importer.take(wanted)
    shown = import_view(imported, base_url(request))
    location = shown.links.content or shown.links.self or ""
    return success(shown, 201 if imported.created else 200, headers={"Location": location})


async def _require_within_rate(request: web.Request) -> None:
    """Raises LimitReached RATE_LIMITED."""
    limit = request.app[LIMITS].imports
    try:
        if limit is not None:
            limit.require(request[CALLER].owner)
    except LimitReached:
        await asyncio.sleep(_REFUSAL_SECONDS)
        raise


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
        query=PlacementQuery,
        body=ImportObject,
        new_work=True,
        access=access.OPERATE,
    ),
)
