"""Uppy's S3 multipart: what `@uppy/aws-s3` requests of Companion, as direct uploads. See docs/uppy.md.

Guarantee: the plugin works as it is, and each of its uploads is an upload as any other: the same owners, limits, errors
and stages. The gateway keeps nothing between two requests. `uploadId` names the upload and holds its token, because the
plugin (from version 6) sends no header of its own: it permits to send, list, complete and cancel this upload.

The plugin decides how long parts are and does not say how large the file is, so the plan is deferred
(`pipeline.uploads.deferred`). Files sent by a single request are refused: the plugin reports to nobody that such a
request has succeeded, and its form cannot be sent to Swift by TempURL.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway import access
from gateway.access import TOKEN_MARK, named_upload
from gateway.error_codes import UPLOAD_LOOKUP_ERRORS
from gateway.http.bodies import invalid, invalid_field, parse_json
from gateway.http.links import base_url
from gateway.http.state import OPTIONS
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.placing import new_file, placed
from gateway.protocols import companion_errors as errors
from gateway.routing import ResponseSpec, Route
from pipeline.core.access import TokenKind
from pipeline.core.errors import RequestError
from pipeline.core.model import Deferred
from schemas.companion import (
    HeldPart,
    HeldParts,
    MultipartAborted,
    MultipartCompleted,
    MultipartCreated,
    PartUrl,
    PartUrls,
    UppyBatch,
    UppyFile,
    UppyKey,
    UppyParts,
)
from schemas.placement import PlacementQuery
from schemas.uploads import CreateUpload

_ANY_SIZE = 1
"""Stands for a size that is not known: the rules of a creation are checked with it."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_PARTS_BYTES = 1024 * 1024
"""Of the body that lists all parts."""


async def params(request: web.Request) -> web.StreamResponse:
    raise RequestError("MULTIPART_REQUIRED")


async def create(request: web.Request) -> web.StreamResponse:
    file = await parse_json(request, UppyFile)
    size = file.announced_bytes
    if size == 0:
        raise RequestError("MULTIPART_REQUIRED")
    try:
        wanted = CreateUpload.model_validate({**file.as_upload(), "size": size or _ANY_SIZE})
    except ValidationError as error:
        raise invalid(error) from None
    services = request.app[SERVICES]
    caller = request[CALLER]
    deferred = Deferred.SIZE if size is None else Deferred.PLAN
    async with placed(request, new_file(request, 0, None)):
        upload = (await services.direct.create_deferred(wanted, caller, deferred)).upload
    name = upload.upload_id
    seconds = request.app[OPTIONS].upload_token_seconds
    issued = services.authenticator.issue(TokenKind.UPLOAD, caller, upload.owner, name, seconds)
    return _plain(MultipartCreated(key=name, uploadId=f"{name}{TOKEN_MARK}{issued.token}"))


async def list_parts(request: web.Request) -> web.StreamResponse:
    held = await request.app[SERVICES].direct.held(_upload(request, UppyKey), _spend(request))
    return _plain(
        HeldParts([HeldPart(PartNumber=part.number, Size=part.size_bytes, ETag=f'"{part.etag}"') for part in held])
    )


async def sign_part(request: web.Request) -> web.StreamResponse:
    name, number = _upload(request, UppyKey), _number(request.match_info["number"])
    grants = await request.app[SERVICES].direct.grants(name, [(number, number)], _spend(request))
    return _plain(PartUrl(url=grants.segments[0].url, expires=grants.seconds))


async def sign_parts(request: web.Request) -> web.StreamResponse:
    name = _upload(request, UppyBatch)
    numbers = sorted({_number(text) for text in request.query["partNumbers"].split(",")})
    ranges = [(number, number) for number in numbers]
    grants = await request.app[SERVICES].direct.grants(name, ranges, _spend(request))
    return _plain(PartUrls(presignedUrls={str(item.number): item.url for item in grants.segments}))


async def complete(request: web.Request) -> web.StreamResponse:
    name = _upload(request, UppyKey)
    sent = await parse_json(request, UppyParts, limit_bytes=_PARTS_BYTES)
    etags = {part.PartNumber: part.ETag for part in sent.parts}
    await request.app[SERVICES].direct.complete(name, _spend(request), etags)
    return _plain(MultipartCompleted(location=f"{base_url(request)}/v1/uploads/{name}", key=name))


async def abort(request: web.Request) -> web.StreamResponse:
    await request.app[SERVICES].creation.cancel(_upload(request, UppyKey))
    return _plain(MultipartAborted())


def _plain(body: BaseModel) -> web.Response:
    """Without the envelope."""
    return web.Response(body=body.model_dump_json().encode(), content_type="application/json")


def _upload(request: web.Request, query: type[UppyKey]) -> str:
    """The upload's id in the path. Raises RequestError VALIDATION_FAILED; UPLOAD_NOT_FOUND if the key is another."""
    try:
        key = query.model_validate(dict(request.query)).key
    except ValidationError as error:
        raise invalid(error) from None
    name, _ = named_upload(request.match_info["id"])
    if key not in (None, name):
        raise RequestError("UPLOAD_NOT_FOUND", upload_id=name[:64])
    return name


def _number(text: str) -> int:
    """Raises RequestError VALIDATION_FAILED."""
    if not _NUMBER.fullmatch(text):
        raise invalid_field("number", "Must be a whole number from 1")
    return int(text)


def _spend(request: web.Request) -> Callable[[int], None]:
    """Counts parts whose URLs are signed, or that are looked up in the store, for the caller's owner. What is returned
    raises LimitReached RATE_LIMITED."""
    limit, owner = request.app[LIMITS].segments, request[CALLER].owner
    return lambda count: None if limit is None else limit.require(owner, count)


_TAG = "Uppy"

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/s3/params",
        params,
        _TAG,
        "Upload a file by one request",
        "Always refused: `@uppy/aws-s3` needs the option `shouldUseMultipart: true`.",
        responses=(),
        errors=("MULTIPART_REQUIRED",),
        error_form=errors.PLAIN,
        access=access.CREATE_IN_PATH,
    ),
    Route(
        "POST",
        "/s3/multipart",
        create,
        _TAG,
        "Create an upload",
        "Creates an upload whose parts are sent to the store itself. The plugin decides how long they are.",
        responses=(ResponseSpec(200, "The new upload", MultipartCreated, bare=True),),
        errors=errors.CREATION,
        query=PlacementQuery,
        body=UppyFile,
        new_work=True,
        error_form=errors.PLAIN,
        access=access.CREATE_IN_PATH,
    ),
    Route(
        "GET",
        "/s3/multipart/{id}",
        list_parts,
        _TAG,
        "List the parts",
        "What the store holds of the upload: the plugin sends only the others when it continues.",
        responses=(ResponseSpec(200, "The parts", HeldParts, bare=True),),
        errors=(*errors.UPLOAD, "VALIDATION_FAILED"),
        query=UppyKey,
        error_form=errors.PLAIN,
        access=access.SEND_IN_PATH,
    ),
    Route(
        "DELETE",
        "/s3/multipart/{id}",
        abort,
        _TAG,
        "Cancel an upload",
        "Ends an upload; its data is removed soon after. Cancelling twice is harmless.",
        responses=(ResponseSpec(200, "It is cancelled", MultipartAborted, bare=True),),
        errors=(*UPLOAD_LOOKUP_ERRORS, "UPLOAD_ENDED", "VALIDATION_FAILED"),
        query=UppyKey,
        new_work=True,
        error_form=errors.PLAIN,
        access=access.SEND_IN_PATH,
    ),
    Route(
        "GET",
        "/s3/multipart/{id}/batch",
        sign_parts,
        _TAG,
        "Sign the URLs of several parts",
        "As for one part. Older versions of the plugin request several at once.",
        responses=(ResponseSpec(200, "The URLs", PartUrls, bare=True),),
        errors=errors.SIGNING,
        query=UppyBatch,
        new_work=True,
        error_form=errors.PLAIN,
        access=access.SEND_IN_PATH,
    ),
    Route(
        "POST",
        "/s3/multipart/{id}/complete",
        complete,
        _TAG,
        "Complete an upload",
        "Reports that every part was sent. The gateway compares them with what the store holds; segments that are "
        "missing or were changed are listed in SEGMENTS_MISSING. Repeating the request is harmless.",
        responses=(ResponseSpec(200, "The upload continues without its client", MultipartCompleted, bare=True),),
        errors=errors.COMPLETION,
        query=UppyKey,
        body=UppyParts,
        new_work=True,
        error_form=errors.PLAIN,
        access=access.SEND_IN_PATH,
    ),
    Route(
        "GET",
        "/s3/multipart/{id}/{number}",
        sign_part,
        _TAG,
        "Sign the URL of a part",
        "A URL to PUT this part to, without headers. Each request restarts the time after which the upload expires.",
        responses=(ResponseSpec(200, "The URL", PartUrl, bare=True),),
        errors=errors.SIGNING,
        query=UppyKey,
        new_work=True,
        error_form=errors.PLAIN,
        access=access.SEND_IN_PATH,
    ),
)
