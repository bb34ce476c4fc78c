"""The route that shows the thumbnail of an upload while it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from gateway import access
from gateway.error_codes import STORE_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http.conditions import Validators
from gateway.http.streaming import Download, Recipient, send
from gateway.ids import upload_id
from gateway.keys import CALLER, SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.disposition import content_disposition
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.stored_objects import replaced_at_ms

_HIDDEN = ENDED - {Status.READY}  # their thumbnails are removed


async def show(request: web.Request) -> web.StreamResponse:
    name, services, caller = upload_id(request), request.app[SERVICES], request[CALLER]
    detail = await services.lookup.detail(name)
    status = detail.upload.status
    find = services.early_thumbnails.find
    stored = None if status in _HIDDEN else await find(name, is_content=status is Status.READY)
    if stored is None:
        raise RequestError("THUMBNAIL_NOT_MADE", upload_id=name)
    made_at_ms = replaced_at_ms(stored.key) or detail.upload.created_at_ms
    body = Download(
        stored.size_bytes,
        Validators.of(stored.etag, datetime.fromtimestamp(made_at_ms / 1000, UTC), datetime.now(UTC)),
        "image/jpeg",
        content_disposition(f"{name}.jpg", inline=True),
        partial(services.downloads.blocks, stored),
    )
    return await send(request, body, Recipient(caller.owner, partial(services.authenticator.is_trusted, caller)))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/uploads/{id}/thumbnail",
        show,
        "Uploads",
        "Show an upload's thumbnail",
        "The JPEG, as soon as stage `thumbnail` is `done`: mostly after the first segments, while others still arrive.",
        responses=(
            ResponseSpec(200, "The JPEG", media_type="image/jpeg"),
            ResponseSpec(206, "The requested range", media_type="image/jpeg"),
            ResponseSpec(304, "It has the ETag or date that the request names", media_type=""),
        ),
        errors=(
            *UPLOAD_LOOKUP_ERRORS,
            "THUMBNAIL_NOT_MADE",
            *STORE_ERRORS,
            "STORE_OBJECT_MISSING",
            "PRECONDITION_FAILED",
            "RANGE_NOT_SATISFIABLE",
            "DOWNLOAD_LIMIT",
        ),
        access=access.FOLLOW,
    ),
)
