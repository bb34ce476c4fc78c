"""The route that lists a content's segments, with a URL for each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from gateway import access
from gateway.api.shared import LinkSeconds, link_seconds, parse_query, sees, segments_limit
from gateway.error_codes import CONTENT_LOOKUP_ERRORS, STORE_ERRORS
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.ids import content_id
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from schemas.downloads import SegmentDownload, SegmentManifest

_PAGE_SEGMENTS = 1000
_SIGNED_AT_ONCE = 25  # signing for S3 takes a millisecond per URL; then other tasks get a turn


class ManifestQuery(BaseModel):
    """Query of `GET /v1/contents/{id}/segments`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(1, ge=1, description="Number of the first segment to list")
    limit: int = Field(_PAGE_SEGMENTS, ge=1, le=_PAGE_SEGMENTS, description="Segments per response")
    expires: LinkSeconds | None = Field(None, description="Seconds for which the URLs work; default: a setting")


async def manifest(request: web.Request) -> web.StreamResponse:
    query = parse_query(request, ManifestQuery)
    content = await request.app[SERVICES].contents.get(content_id(request), sees(request))
    downloads = request.app[SERVICES].downloads
    seconds = link_seconds(request, query.expires or downloads.rules.grant_seconds)
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    spans = await downloads.segments(content)
    own_url = f"{base_url(request)}/v1/contents/{content.id}/segments"
    listed: list[SegmentDownload] = []
    granted = False
    page = spans[query.first - 1 : query.first - 1 + query.limit]
    segments_limit(request)(len(page))
    for stored, span in page:
        link = await downloads.presign_segment(content.object, span, seconds=seconds)
        granted = link is not None
        listed.append(
            SegmentDownload(
                number=stored.number,
                offset=span.first_byte,
                size=stored.size_bytes,
                etag=stored.etag,
                digest=downloads.segment_digest(content, stored),
                url=link.url if link else f"{own_url}/{stored.number}?via=gateway",
                headers=dict(link.headers) if link else {},
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


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents/{id}/segments",
        manifest,
        "Contents",
        "List a content's segments",
        "The manifest, with a URL and the headers to send for each segment. A client fetches or plays the segments in "
        "order or in parallel and joins them itself; no server merges them. The URLs lead to the store where it serves "
        "them correctly, else to the gateway.",
        responses=(ResponseSpec(200, "Segments in order", SegmentManifest),),
        errors=("VALIDATION_FAILED", *CONTENT_LOOKUP_ERRORS, *STORE_ERRORS, "STORE_OBJECT_MISSING"),
        query=ManifestQuery,
        access=access.READ,
    ),
)
