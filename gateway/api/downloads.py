"""Routes that deliver a content's bytes: its object, one segment, its thumbnail.

The response is a redirect to the store (302) where the store grants URLs. Where it does not, or with `via=gateway`, the
gateway streams the same bytes itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway import access
from gateway.api.shared import LinkSeconds, link_seconds, parse_query, sees, segment_number
from gateway.error_codes import CONTENT_LOOKUP_ERRORS, STORE_ERRORS
from gateway.http.conditions import Validators
from gateway.http.streaming import Download, Recipient, not_modified, send
from gateway.ids import content_id
from gateway.keys import CALLER, SERVICES
from gateway.routing import RequestHeader, ResponseSpec, Route
from pipeline.contents.downloads import Downloads, may_be_shown
from pipeline.core.digests import crc32c_digest, format_content_digest
from pipeline.core.disposition import content_disposition
from pipeline.core.errors import RequestError
from pipeline.core.stored_objects import SegmentSpan, replaced_at_ms
from schemas.content import Content, ContentObject

_THUMBNAIL_TYPE = "image/jpeg"


class GrantQuery(BaseModel):
    """Query of the routes that may respond with a redirect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    via: Literal["store", "gateway"] = Field(
        "store",
        description="`store`: a redirect, where the store grants URLs. `gateway`: no redirect, the gateway sends the "
        "bytes",
    )
    expires: LinkSeconds | None = Field(
        None, description="Seconds for which the redirect's target works; default: a setting"
    )


class DownloadQuery(GrantQuery):
    """Query of `GET /v1/contents/{id}/download`."""

    disposition: Literal["attachment", "inline"] = Field(
        "attachment",
        description="`attachment`: save under the original name. `inline`: show in the browser, for video, audio and "
        "images except SVG",
    )


async def download(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, DownloadQuery)
    content = await request.app[SERVICES].contents.get(content_id(request), sees(request))
    inline = query.disposition == "inline" and may_be_shown(content.content_type)
    disposition = content_disposition(content.filename, inline=inline)
    body = _body(request, content, content.object, content.content_type, disposition, content.repr_digest)
    downloads = request.app[SERVICES].downloads
    return await _deliver(
        request,
        query,
        partial(downloads.presign, content.object, content.filename, content.content_type, inline=inline),
        body,
    )


async def thumbnail(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, GrantQuery)
    content = await request.app[SERVICES].contents.get(content_id(request), sees(request))
    if content.thumbnail is None:
        raise RequestError("THUMBNAIL_NOT_FOUND", content_id=content.id)
    name = f"{content.id}.jpg"
    body = _body(request, content, content.thumbnail, _THUMBNAIL_TYPE, content_disposition(name, inline=True))
    downloads = request.app[SERVICES].downloads
    grant = partial(downloads.presign, content.thumbnail, name, _THUMBNAIL_TYPE, inline=True)
    return await _deliver(request, query, grant, body)


async def segment(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, GrantQuery)
    number = segment_number(request)
    content = await request.app[SERVICES].contents.get(content_id(request), sees(request))
    downloads = request.app[SERVICES].downloads
    spans = await downloads.segments(content)
    if not 1 <= number <= len(spans):
        raise RequestError("SEGMENT_OUT_OF_RANGE", number=number, segment_count=len(spans))
    stored, span = spans[number - 1]
    body = Download(
        stored.size_bytes,
        _validators(stored.etag, content, content.object.key),
        "application/octet-stream",
        content_disposition(f"{content.filename}.{number:05d}", inline=False),
        lambda first, last: downloads.blocks(content.object, span.first_byte + first, span.first_byte + last),
        None if stored.crc32c is None else format_content_digest(crc32c_digest(stored.crc32c)),
    )
    return await _deliver(request, query, partial(_segment_url, downloads, content.object, span), body)


async def _segment_url(downloads: Downloads, stored: ContentObject, span: SegmentSpan, *, seconds: int) -> str | None:
    """A URL that alone yields the segment: a redirect cannot carry the headers that others need."""
    link = await downloads.presign_segment(stored, span, seconds=seconds)
    return None if link is None or link.headers else link.url


def _body(
    request: web.Request,
    content: Content,
    stored: ContentObject,
    content_type: str,
    disposition: str,
    repr_digest: str | None = None,
) -> Download:
    """A whole object of a content, as the gateway sends it."""
    blocks = partial(request.app[SERVICES].downloads.blocks, stored)
    return Download(
        stored.size_bytes, _validators(stored.etag, content, stored.key), content_type, disposition, blocks, repr_digest
    )


def _validators(digest: str, content: Content, key: str) -> Validators:
    """The bytes of a content do not change after its creation. A thumbnail may have been replaced since."""
    replaced_ms = replaced_at_ms(key)
    modified = content.created_at if replaced_ms is None else datetime.fromtimestamp(replaced_ms / 1000, UTC)
    return Validators.of(digest, modified, datetime.now(UTC))


async def _deliver(
    request: web.Request, query: GrantQuery, grant: Callable[..., Awaitable[str | None]], body: Download
) -> web.StreamResponse:
    """A redirect to the URL of `grant(seconds=...)` if it is wanted and there is one, else `body`."""
    # HEAD is never redirected, since S3 signs the method: a URL signed for GET refuses HEAD.
    if query.via == "store" and request.method != "HEAD":
        # The store's ETag is compared here, which spares a redirect. Dates are left to the store: a client that follows
        # redirects has the store's Last-Modified, which differs from ours.
        if (unchanged := not_modified(request, body, dates=False)) is not None:
            return unchanged
        seconds = link_seconds(request, query.expires or request.app[SERVICES].downloads.rules.grant_seconds)
        if url := await grant(seconds=seconds):
            return web.Response(status=302, headers={"Location": url})
    caller = request[CALLER]
    is_trusted = partial(request.app[SERVICES].authenticator.is_trusted, caller)
    return await send(request, body, Recipient(caller.owner, is_trusted))


_ERRORS = (
    "VALIDATION_FAILED",
    *CONTENT_LOOKUP_ERRORS,
    *STORE_ERRORS,
    "STORE_OBJECT_MISSING",
    "PRECONDITION_FAILED",
    "RANGE_NOT_SATISFIABLE",
    "DOWNLOAD_LIMIT",
)
_STREAMED = {
    "ETag": "The store's digest of the object",
    "Last-Modified": "When the content was created, or its thumbnail replaced; other bytes never change",
    "Accept-Ranges": "`bytes`",
    "Content-Length": "Bytes in the body",
    "Content-Security-Policy": "`sandbox`: a browser runs no script in the bytes and treats them as a foreign origin",
    "Content-Disposition": "The original file name, exact in any script (RFC 8187)",
    "Repr-Digest": "Digest of the whole, also with a range, `crc32c=:BASE64:` (RFC 9530); absent where it is not known",
}
_RESPONSES = (
    ResponseSpec(200, "The bytes, through the gateway", media_type="*/*", headers=_STREAMED),
    ResponseSpec(
        206,
        "The requested range, through the gateway",
        media_type="*/*",
        headers={**_STREAMED, "Content-Range": "First and last byte, and the size of the whole"},
    ),
    ResponseSpec(
        302,
        "GET the bytes from the store itself. No other header is needed; ranges work",
        media_type="",
        headers={"Location": "A URL that works for a limited time, for anyone who has it"},
    ),
    ResponseSpec(
        304,
        "The client has the bytes already, by `If-None-Match` (also in place of a redirect) or `If-Modified-Since`",
        media_type="",
        headers={"ETag": "The store's digest of the object"},
    ),
)
_TEXT = {"type": "string"}
_CONDITIONS = (
    RequestHeader("Range", "Bytes, for GET only. For ranges with gaps between them the whole is sent.", _TEXT),
    RequestHeader("If-Match", "ETags, or `*`. PRECONDITION_FAILED if the object has none of them.", _TEXT),
    RequestHeader("If-Unmodified-Since", "A date. PRECONDITION_FAILED if the content is newer.", _TEXT),
    RequestHeader("If-None-Match", "ETags, or `*`. 304 if the object has one of them.", _TEXT),
    RequestHeader("If-Modified-Since", "A date. 304 if the content is not newer.", _TEXT),
    RequestHeader(
        "If-Range",
        "The ETag or Last-Modified. The range applies only if it is still that; else the whole is sent.",
        _TEXT,
    ),
)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents/{id}/download",
        download,
        "Contents",
        "Download a content",
        "A redirect to the store where the store grants URLs; else, and with `via=gateway`, the bytes themselves. HEAD "
        "is never redirected; its headers are those of the bytes. An error after the first byte closes the connection: "
        "compare the bytes received with Content-Length.",
        responses=_RESPONSES,
        errors=_ERRORS,
        query=DownloadQuery,
        request_headers=_CONDITIONS,
        new_work=True,
        streaming=True,
        access=access.DOWNLOAD,
    ),
    Route(
        "GET",
        "/v1/contents/{id}/segments/{number}",
        segment,
        "Contents",
        "Download one segment",
        "The bytes of segment `number`. Works like the download of the whole content, but is a redirect only where the "
        "segment is an object of its own (Swift), or the only one.",
        responses=_RESPONSES,
        errors=(*_ERRORS, "SEGMENT_OUT_OF_RANGE"),
        query=GrantQuery,
        request_headers=_CONDITIONS,
        new_work=True,
        streaming=True,
        access=access.DOWNLOAD,
    ),
    Route(
        "GET",
        "/v1/contents/{id}/thumbnail",
        thumbnail,
        "Contents",
        "Show a content's thumbnail",
        "A JPEG of at most 640 x 640 pixels. Works like the download of the whole content.",
        responses=_RESPONSES,
        errors=(*_ERRORS, "THUMBNAIL_NOT_FOUND"),
        query=GrantQuery,
        request_headers=_CONDITIONS,
        new_work=True,
        streaming=True,
        access=access.DOWNLOAD,
    ),
)
