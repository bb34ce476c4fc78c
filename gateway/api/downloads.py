"""The ways out: a content's bytes from the store itself (302), through the gateway, or segment by segment.

Guarantee: the gateway decides nothing about stores: where a store grants nothing, or `via=gateway` asks for it, the
same bytes come through here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.shared import content_id, parse_query
from gateway.http.bodies import invalid_field
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.http.streaming import Download, send
from gateway.options import SERVICES
from gateway.routing import Answer, Header, Route
from pipeline.contents.downloads import may_be_shown
from pipeline.core.disposition import content_disposition
from pipeline.core.errors import RequestError
from schemas.content import Content, ContentObject
from schemas.downloads import SegmentDownload, SegmentManifest

_MANIFEST_MAX = 1000
_SIGNED_AT_ONCE = 25  # signing for S3 takes a millisecond each: others get their turn in between
_WEEK = 7 * 24 * 3600  # the longest that S3 signs for


class GrantQuery(BaseModel):
    """Query of whatever may be answered with a redirect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    via: Literal["store", "gateway"] = Field(
        "store", description="`gateway`: no redirect, the bytes come from here; so they do where the store grants none"
    )
    expires: int | None = Field(
        None, ge=1, le=_WEEK, description="Seconds for which the redirect's target works; default: a setting"
    )


class DownloadQuery(GrantQuery):
    """Query of `GET /v1/contents/{id}/download`."""

    disposition: Literal["attachment", "inline"] = Field(
        "attachment",
        description="Save under the original name, or show in place: video, audio and images but SVG only",
    )


class ManifestQuery(BaseModel):
    """Query of `GET /v1/contents/{id}/segments`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(1, ge=1, description="Number of the first segment to list")
    limit: int = Field(_MANIFEST_MAX, ge=1, le=_MANIFEST_MAX, description="Segments in one answer")
    expires: int | None = Field(None, ge=1, le=_WEEK, description="Seconds for which the URLs work")


async def download(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, DownloadQuery)
    content = await _content(request)
    inline = query.disposition == "inline" and may_be_shown(content.content_type)
    return await _object(request, query, content.object, content.content_type, content.filename, inline)


async def thumbnail(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, GrantQuery)
    content = await _content(request)
    if content.thumbnail is None:
        raise RequestError("THUMBNAIL_NOT_FOUND", content_id=content.id)
    return await _object(request, query, content.thumbnail, "image/jpeg", f"{content.id}.jpg", True)


async def segment(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, GrantQuery)
    number = _number(request)
    content = await _content(request)
    downloads = request.app[SERVICES].downloads
    spans = await downloads.segments(content)
    if not 1 <= number <= len(spans):
        raise RequestError("SEGMENT_OUT_OF_RANGE", number=number, segment_count=len(spans))
    stored, span = spans[number - 1]
    if _redirects(request, query):
        seconds = query.expires or downloads.rules.grant_seconds
        if url := await downloads.presign_segment(content.object, span, seconds=seconds):
            return web.Response(status=302, headers={"Location": url})
    name = content_disposition(f"{content.filename}.{number:05d}", inline=False)
    return await send(
        request,
        Download(
            stored.size_bytes,
            stored.etag,
            "application/octet-stream",
            name,
            lambda first, last: downloads.blocks(content.object, span.first_byte + first, span.first_byte + last),
        ),
    )


async def manifest(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, ManifestQuery)
    content = await _content(request)
    downloads = request.app[SERVICES].downloads
    seconds = query.expires or downloads.rules.grant_seconds
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    spans = await downloads.segments(content)
    here = f"{base_url(request)}/v1/contents/{content.id}/segments"
    listed: list[SegmentDownload] = []
    granted = False
    for stored, span in spans[query.first - 1 : query.first - 1 + query.limit]:
        url = await downloads.presign_segment(content.object, span, seconds=seconds)
        granted = url is not None
        listed.append(
            SegmentDownload(
                number=span.number,
                offset=span.first_byte,
                size=stored.size_bytes,
                digest=stored.etag,
                url=url or f"{here}/{span.number}?via=gateway",
            )
        )
        if len(listed) % _SIGNED_AT_ONCE == 0:
            await asyncio.sleep(0)
    following = query.first + len(listed)
    return success(
        SegmentManifest(
            content_id=content.id,
            size=content.object.size_bytes,
            etag=content.object.etag,
            segment_count=len(spans),
            expires_at=expires_at.replace(microsecond=0) if granted else None,
            segments=listed,
            next_first=following if following <= len(spans) else None,
        )
    )


async def _content(request: web.Request) -> Content:
    return await request.app[SERVICES].contents.get(content_id(request))


async def _object(
    request: web.Request, query: GrantQuery, stored: ContentObject, content_type: str, filename: str, inline: bool
) -> web.StreamResponse:
    downloads = request.app[SERVICES].downloads
    if _redirects(request, query):
        seconds = query.expires or downloads.rules.grant_seconds
        if url := await downloads.presign(stored, filename, seconds=seconds, inline=inline):
            return web.Response(status=302, headers={"Location": url})
    return await send(
        request,
        Download(
            stored.size_bytes,
            stored.etag,
            content_type,
            content_disposition(filename, inline=inline),
            lambda first, last: downloads.blocks(stored, first, last),
        ),
    )


def _redirects(request: web.Request, query: GrantQuery) -> bool:
    """HEAD is answered here, from what is known of the object: a presigned GET is refused to a HEAD, since S3 signs the
    method too."""
    return query.via == "store" and request.method != "HEAD"


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise invalid_field("number", "Must be a whole number from 1")
    return int(text)


_STORE_ERRORS = ("STORE_UNAVAILABLE", "STORE_AUTH_FAILED", "STORE_REJECTED", "STORE_OBJECT_MISSING")
_ERRORS = ("CONTENT_NOT_FOUND", "VALIDATION_FAILED", "DATABASE_UNAVAILABLE", *_STORE_ERRORS)
_STREAMED = {
    "ETag": "The store's digest of the object",
    "Accept-Ranges": "`bytes`",
    "Content-Length": "Bytes that follow",
    "Content-Disposition": "The original file name, exact in any script (RFC 8187)",
}
_ANSWERS = (
    Answer(200, "The bytes, through the gateway", media_type="*/*", headers=_STREAMED),
    Answer(
        206,
        "The range that was asked for, through the gateway",
        media_type="*/*",
        headers={**_STREAMED, "Content-Range": "First and last byte, and bytes in the whole"},
    ),
    Answer(
        302,
        "Read it from the store itself, by GET: no other header is needed, and ranges work",
        media_type="",
        headers={"Location": "A URL that works for some time, for whoever has it"},
    ),
    Answer(304, "It is what `If-None-Match` says (through the gateway)", media_type="", headers={"ETag": "As above"}),
)
_CONDITIONS = (
    Header("Range", "One range of bytes; several at once are answered with the whole.", {"type": "string"}),
    Header("If-Range", "An ETag: the range is meant only while the object has it, else the whole.", {"type": "string"}),
    Header("If-None-Match", "ETags, or `*`: 304 when the object has one of them.", {"type": "string"}),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents/{id}/download",
        download,
        "Contents",
        "Download a content",
        "A redirect to the store, where the store grants such URLs; else, and with `via=gateway`, the bytes "
        "themselves. HEAD is never redirected: the headers are the same either way. What goes wrong after the first "
        "byte ends the connection: compare with Content-Length.",
        answers=_ANSWERS,
        errors=(*_ERRORS, "RANGE_NOT_SATISFIABLE"),
        query=DownloadQuery,
        headers=_CONDITIONS,
        new_work=True,
        streaming=True,
    ),
    Route(
        "GET",
        "/v1/contents/{id}/segments",
        manifest,
        "Contents",
        "List a content's segments",
        "The manifest, with a URL for each segment, so that a client fetches or plays them in order or in parallel "
        "and puts them together itself; no server merges them.",
        answers=(Answer(200, "Segments in order", SegmentManifest),),
        errors=_ERRORS,
        query=ManifestQuery,
    ),
    Route(
        "GET",
        "/v1/contents/{id}/segments/{number}",
        segment,
        "Contents",
        "Download one segment",
        "As the download of the whole, for the bytes of segment `number`.",
        answers=_ANSWERS,
        errors=(*_ERRORS, "RANGE_NOT_SATISFIABLE", "SEGMENT_OUT_OF_RANGE"),
        query=GrantQuery,
        headers=_CONDITIONS,
        new_work=True,
        streaming=True,
    ),
    Route(
        "GET",
        "/v1/contents/{id}/thumbnail",
        thumbnail,
        "Contents",
        "Show a content's thumbnail",
        "A JPEG of at most 640 x 640 pixels; as the download of the whole.",
        answers=_ANSWERS,
        errors=(*_ERRORS, "RANGE_NOT_SATISFIABLE", "THUMBNAIL_NOT_FOUND"),
        query=GrantQuery,
        headers=_CONDITIONS,
        new_work=True,
        streaming=True,
    ),
)
