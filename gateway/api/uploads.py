"""Routes of uploads: create, show, list, cancel."""

from __future__ import annotations

import re

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.shared import LIMIT_DEFAULT, LIMIT_MAX, parse_query, upload_id
from gateway.api.views import grants_view, upload_view
from gateway.http import cursors
from gateway.http.bodies import invalid_field, parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url, upload_links
from gateway.options import SERVICES
from gateway.routing import Answer, Header, Route
from pipeline.core.lifecycle import Status
from pipeline.uploads.lookup import UploadDetail
from schemas.http import Page
from schemas.uploads import CreateUpload, UploadView

_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"


class UploadQuery(BaseModel):
    """Query of `GET /v1/uploads`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = Field(None, description="Only uploads in this status")
    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Items on one page")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


def view(request: web.Request, detail: UploadDetail) -> UploadView:
    """An upload as this client sees it: links lead where it came from."""
    upload = detail.upload
    return upload_view(detail, upload_links(base_url(request), upload.upload_id, upload.content_id))


async def create(request: web.Request) -> web.StreamResponse:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(_KEY_PATTERN, key):
        raise invalid_field("Idempotency-Key", "Must be 1 to 255 visible ASCII characters")
    wanted = await parse_json(request, CreateUpload)
    if wanted.transport != "gateway":
        detail, grants, created = await request.app[SERVICES].direct.create(wanted, key)
        shown = view(request, detail)
        if grants is not None:
            shown = shown.model_copy(update={"grants": grants_view(grants)})
    else:
        detail, created = await request.app[SERVICES].creation.create(wanted, key)
        shown = view(request, detail)
    return success(shown, 201 if created else 200, headers={"Location": shown.links.self})


async def show(request: web.Request) -> web.StreamResponse:
    return success(view(request, await request.app[SERVICES].lookup.detail(upload_id(request))))


async def index(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, UploadQuery)
    before = cursors.decode(query.cursor) if query.cursor else None
    # One more than asked for: its presence says that there is another page.
    found = await request.app[SERVICES].lookup.page(query.status, before, query.limit + 1)
    shown, more = found[: query.limit], len(found) > query.limit
    last = shown[-1].upload if more else None
    return success(
        Page[UploadView](
            items=[view(request, detail) for detail in shown],
            next_cursor=cursors.encode((last.created_at_ms, last.upload_id)) if last else None,
        )
    )


async def cancel(request: web.Request) -> web.StreamResponse:
    return success(view(request, await request.app[SERVICES].creation.cancel(upload_id(request))))


_LOCATION = {"Location": "URL of the upload, the same as `links.self`"}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/uploads",
        create,
        "Uploads",
        "Create an upload",
        "Announces a file. The answer says how it is to be cut into segments and whether there is room for it now "
        "(`admitted`) or not yet (`waiting`, with its place in the queue). With transport `direct` it is `granted`: "
        "the answer has grants to send segments to the store itself. With an Idempotency-Key a repeat answers with the "
        "same upload.",
        answers=(
            Answer(201, "The upload, newly created", UploadView, headers=_LOCATION),
            Answer(200, "The upload that this Idempotency-Key created before", UploadView, headers=_LOCATION),
        ),
        errors=(
            "BODY_NOT_JSON",
            "BODY_TOO_LARGE",
            "BODY_TIMEOUT",
            "CONTENT_TYPE_NOT_SUPPORTED",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            "DIGEST_NOT_SUPPORTED",
            "IDEMPOTENCY_KEY_REUSED",
            "FILE_TOO_LARGE_FOR_VOLUME",
            "FILE_TOO_LARGE_FOR_STORE",
            "TRANSPORT_NOT_OFFERED",
            "UPLOAD_ENDED",
            "UPLOAD_COMPLETE",
            "STORE_UNAVAILABLE",
            "STORE_AUTH_FAILED",
            "STORE_REJECTED",
            "REDIS_UNAVAILABLE",
            "TEMP_VOLUME_FULL",
            "TEMP_VOLUME_FAILED",
        ),
        headers=(
            Header(
                "Idempotency-Key",
                "Makes a repeated request harmless: the same key with the same body is the same upload. Use a new "
                "UUID per file.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _KEY_PATTERN},
            ),
        ),
        body=CreateUpload,
        new_work=True,
    ),
    Route(
        "GET",
        "/v1/uploads",
        index,
        "Uploads",
        "List uploads",
        "Uploads in flight and those that ended not long ago, newest first.",
        answers=(Answer(200, "One page", Page[UploadView]),),
        errors=("VALIDATION_FAILED", "CURSOR_INVALID", "REDIS_UNAVAILABLE"),
        query=UploadQuery,
    ),
    Route(
        "GET",
        "/v1/uploads/{id}",
        show,
        "Uploads",
        "Show an upload",
        "How far an upload has come, and which segments are still missing.",
        answers=(Answer(200, "The upload", UploadView),),
        errors=("UPLOAD_NOT_FOUND", "REDIS_UNAVAILABLE"),
    ),
    Route(
        "DELETE",
        "/v1/uploads/{id}",
        cancel,
        "Uploads",
        "Cancel an upload",
        "Ends an upload; what is here of it is removed soon after. Cancelling twice is harmless.",
        answers=(Answer(200, "The upload, cancelled", UploadView),),
        errors=("UPLOAD_NOT_FOUND", "UPLOAD_ENDED", "REDIS_UNAVAILABLE"),
        new_work=True,
    ),
)
