"""Creating an upload with either protocol, and appending the body of that request.

Guarantee: the response to a creation comes at once. While the upload waits for room, the body is not read: the client
goes on with an append, which waits. An upload whose first body is wrong is cancelled before the error is sent, since
the error names no upload.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web
from aiohttp.multipart import content_disposition_filename, parse_content_disposition
from pydantic import ValidationError

from gateway.http import bodies
from gateway.http.links import base_url
from gateway.issuing import issue_upload_token
from gateway.keys import CALLER, SERVICES
from gateway.placing import new_file, placed
from gateway.protocols import metadata
from gateway.protocols.fields import media_type
from pipeline.core.digests import BodyDigest
from pipeline.core.errors import RequestError, SluiceError
from pipeline.core.lifecycle import Status
from pipeline.uploads.append import Position
from pipeline.uploads.lookup import UploadDetail
from schemas.uploads import CreateUpload

_FETCHED = "Sec-Fetch-Mode"
"""A header field that every browser sends, and only browsers do (W3C, Fetch Metadata)."""

_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"
_OF_PROTOCOLS = ("application/offset+octet-stream", "application/partial-upload")
_WRONG = frozenset(
    {
        "APPEND_DIGEST_WRONG",
        "APPEND_TOO_LONG",
        "APPEND_TOO_LARGE",
        "BODY_TOO_LARGE",
        "CHECKSUM_NOT_SUPPORTED",
        "DEFERRED_TOO_LARGE",
        "DIGEST_NOT_SUPPORTED",
        "FILE_TOO_LARGE_FOR_OWNER",
        "REQUEST_MALFORMED",
        "VALIDATION_FAILED",
    }
)
"""Errors of a first body that the client has to change."""


async def register(request: web.Request, size_bytes: int | None, *, partial: bool = False) -> tuple[UploadDetail, bool]:
    """Register the upload that the headers describe; False if its Idempotency-Key was known. `size_bytes`: None where
    its length is not known yet. In an installation of several cells, only browsers are redirected to a cell with more
    room; any client, where this cell cannot take the upload. Raises as `UploadCreation.create` or
    `Concatenation.create_partial`, and as `described` and `placed`."""
    wanted, key = described(request, size_bytes)
    services, deferred = request.app[SERVICES], size_bytes is None
    create = services.concatenation.create_partial if partial else services.creation.create
    caller = request[CALLER]
    # The parts of a file are joined in one cell.
    fixed = f"owner {caller.owner}" if partial and caller.permit is None else None
    # Many clients of these protocols follow no redirect, and a body would be sent twice.
    moves = _FETCHED in request.headers and bodies.declared_bytes(request) == 0
    async with placed(request, new_file(request, wanted.size, key, fixed=fixed, moves=moves)):
        return await create(wanted, key, caller, deferred=deferred)


def described(request: web.Request, size_bytes: int | None) -> tuple[CreateUpload, str | None]:
    """The upload that the headers describe, and its Idempotency-Key. Raises RequestError VALIDATION_FAILED,
    UPLOAD_HEADER_INVALID."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(_KEY_PATTERN, key):
        raise RequestError("UPLOAD_HEADER_INVALID", header="Idempotency-Key", reason="it is not visible ASCII")
    pairs = metadata.parse(request.headers.getall("Upload-Metadata", []))
    sent_type = media_type(request)
    try:
        wanted = CreateUpload(
            filename=metadata.filename_of(pairs) or _filename(request) or metadata.UNNAMED,
            size=1 if size_bytes is None else size_bytes,
            content_type=metadata.content_type_of(pairs) or ("" if sent_type in _OF_PROTOCOLS else sent_type),
            digest=", ".join(request.headers.getall("Repr-Digest", [])) or None,
            metadata=pairs,
        )
    except ValidationError as error:
        raise bodies.invalid(error) from None
    return wanted, key


async def append_first(
    request: web.Request,
    detail: UploadDetail,
    body: AsyncIterator[bytes],
    digest: BodyDigest | None,
    *,
    created: bool,
    ends: bool = False,
) -> Position:
    """Append the body of a creation; how far the upload has come then. `ends`: see `Appender.append`. Raises as that
    for a wrong body, and as `Appender.position`."""
    services, upload_id = request.app[SERVICES], detail.upload.upload_id
    body_bytes = bodies.declared_bytes(request)
    if body_bytes != 0 and detail.upload.status is not Status.WAITING:
        try:
            return await services.appender.append(upload_id, 0, body, body_bytes, digest, ends=ends)
        except SluiceError as error:
            if error.code in _WRONG:
                if created:
                    with suppress(SluiceError):  # it expires
                        await services.creation.cancel(upload_id)
                raise
    elif created:
        return Position(detail.upload, 0)
    return await services.appender.position(upload_id)


def location_headers(request: web.Request, detail: UploadDetail) -> dict[str, str]:
    """Where the upload is, and what the rest of the API calls it. The content will have the upload's id."""
    return {
        "Location": f"{base_url(request)}/files/{detail.upload.upload_id}",
        "Sluice-Upload-Token": issue_upload_token(request, detail.upload).token,
        **status_headers(request, detail.upload.upload_id),
    }


def status_headers(request: web.Request, upload_id: str) -> dict[str, str]:
    """The id of the upload, and the link to its status (RFC 8631)."""
    link = f'<{base_url(request)}/v1/uploads/{upload_id}>; rel="status"'
    return {"Sluice-Upload-Id": upload_id, "Link": link}


def _filename(request: web.Request) -> str:
    """That of Content-Disposition, which the draft suggests."""
    _, parameters = parse_content_disposition(request.headers.get("Content-Disposition"))
    return content_disposition_filename(parameters) or ""
