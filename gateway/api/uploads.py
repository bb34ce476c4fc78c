"""Routes of uploads: create, show, list, cancel."""

from __future__ import annotations

import re

from aiohttp import web
from pydantic import Field

from gateway import access
from gateway.api.shared import PageQuery, own_only, parse_query, segments_limit, show_upload
from gateway.api.spanning import Part, from_others, merged, position
from gateway.api.tokens import expiry
from gateway.api.views import grants_view
from gateway.error_codes import (
    JSON_BODY_ERRORS,
    LIST_ERRORS,
    REDIS_ERRORS,
    REGISTRATION_ERRORS,
    STORE_ERRORS,
    UPLOAD_LOOKUP_ERRORS,
)
from gateway.http import cursors
from gateway.http.bodies import invalid_field, parse_json
from gateway.http.envelope import success
from gateway.ids import upload_id
from gateway.issuing import issue_upload_token
from gateway.keys import CALLER, SERVICES
from gateway.placing import new_file, placed
from gateway.routing import RequestHeader, ResponseSpec, Route
from pipeline.core.lifecycle import Status
from schemas import examples
from schemas.cells import CellFilter
from schemas.owners import OwnerFilter
from schemas.placement import PlacementQuery
from schemas.uploads import CreateUpload, UploadPage, UploadToken, UploadView

_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"


class UploadQuery(OwnerFilter, CellFilter, PageQuery):
    """Query of `GET /v1/uploads`."""

    status: Status | None = Field(None, description="Only uploads with this status")


async def create(request: web.Request) -> web.StreamResponse:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(_KEY_PATTERN, key):
        raise invalid_field("Idempotency-Key", "Must be 1 to 255 visible ASCII characters")
    caller = request[CALLER]
    wanted = await parse_json(request, CreateUpload)
    is_direct = wanted.transport != "gateway"
    async with placed(request, new_file(request, 0 if is_direct else wanted.size, key)):
        if is_direct:
            direct = request.app[SERVICES].direct
            detail, grants, created = await direct.create(wanted, key, caller, segments_limit(request))
        else:
            grants = None
            detail, created = await request.app[SERVICES].creation.create(wanted, key, caller)
    shown = show_upload(request, detail)
    if grants is not None:
        shown = shown.model_copy(update={"grants": grants_view(grants)})
    issued = issue_upload_token(request, detail.upload)
    token = UploadToken(token=issued.token, expires_at=expiry(issued))
    shown = shown.model_copy(update={"upload_token": token})
    return success(shown, 201 if created else 200, headers={"Location": shown.links.self})


async def show(request: web.Request) -> web.StreamResponse:
    return success(show_upload(request, await request.app[SERVICES].lookup.detail(upload_id(request))))


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, UploadQuery)
    own = own_only(query, request)
    digest = cursors.query_digest(own)
    before = cursors.decode(own.cursor, digest).pair if own.cursor else None
    # The extra item shows that there is another page.
    found = await request.app[SERVICES].lookup.page(own.owner, own.status, before, own.limit + 1)
    shown = [show_upload(request, detail) for detail in found]
    part = Part(shown[: own.limit], position(shown[own.limit - 1]) if len(shown) > own.limit else None)
    page, _, unreachable = merged(part, await from_others(request, query, UploadPage), digest, own.limit)
    next_cursor = cursors.encode(page.rest, digest) if page.rest else None
    return success(UploadPage(items=list(page.items), next_cursor=next_cursor, unreachable_cells=unreachable))


async def cancel(request: web.Request) -> web.StreamResponse:
    return success(show_upload(request, await request.app[SERVICES].creation.cancel(upload_id(request))))


_LOCATION = {"Location": "URL of the upload, the same as `links.self`"}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/uploads",
        create,
        "Uploads",
        "Create an upload",
        "Announces a file. The response says how to split it into segments, and whether there is room for it now "
        "(`admitted`) or not yet (`waiting`, with its position in the queue). With transport `direct` or `token` the "
        "upload is `granted`: the response contains grants to send segments to the store itself. Repeating a request "
        "with the same Idempotency-Key returns the same upload.",
        responses=(
            ResponseSpec(201, "The new upload", UploadView, headers=_LOCATION, example=examples.UPLOAD_CREATED),
            ResponseSpec(200, "The upload that this Idempotency-Key created before", UploadView, headers=_LOCATION),
        ),
        errors=(
            *JSON_BODY_ERRORS,
            "PERMIT_EXCEEDED",
            "CONTENT_TYPE_NOT_MEDIA",
            "DIGEST_NOT_SUPPORTED",
            "IDEMPOTENCY_KEY_REUSED",
            "SEGMENTS_TOO_LARGE_FOR_VOLUME",
            "FILE_TOO_LARGE_FOR_STORE",
            "TRANSPORT_NOT_OFFERED",
            "UPLOAD_ENDED",
            "UPLOAD_COMPLETE",
            *STORE_ERRORS,
            *REGISTRATION_ERRORS,
        ),
        request_headers=(
            RequestHeader(
                "Idempotency-Key",
                "Makes a repeated request harmless: the same key with the same body returns the same upload. Use a new "
                "UUID for each file.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _KEY_PATTERN},
            ),
        ),
        query=PlacementQuery,
        body=CreateUpload,
        new_work=True,
        access=access.CREATE,
    ),
    Route(
        "GET",
        "/v1/uploads",
        index,
        "Uploads",
        "List uploads",
        "Uploads in flight and those that ended recently, newest first. With several cells it lists those of all; "
        "`unreachable_cells` names those that have not responded.",
        responses=(ResponseSpec(200, "One page", UploadPage),),
        errors=(*LIST_ERRORS, *REDIS_ERRORS),
        query=UploadQuery,
        access=access.LIST_UPLOADS,
    ),
    Route(
        "GET",
        "/v1/uploads/{id}",
        show,
        "Uploads",
        "Show an upload",
        "The progress of an upload, and the segments that are still missing.",
        responses=(ResponseSpec(200, "The upload", UploadView),),
        errors=UPLOAD_LOOKUP_ERRORS,
        access=access.FOLLOW,
    ),
    Route(
        "DELETE",
        "/v1/uploads/{id}",
        cancel,
        "Uploads",
        "Cancel an upload",
        "Ends an upload; its data is removed soon after. Cancelling twice is harmless.",
        responses=(ResponseSpec(200, "The cancelled upload", UploadView, example=examples.UPLOAD_CANCELLED),),
        errors=(*UPLOAD_LOOKUP_ERRORS, "UPLOAD_ENDED"),
        new_work=True,
        access=access.CANCEL,
    ),
)
