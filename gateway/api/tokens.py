"""Routes that issue tokens: permits, tickets for event streams, and links to contents."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web
from yarl import URL

from gateway import access
from gateway.access import URL_PARAMETER
from gateway.api.links import content_links, upload_links
from gateway.api.shared import sees
from gateway.error_codes import CONTENT_LOOKUP_ERRORS, JSON_BODY_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http.bodies import parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.http.state import OPTIONS
from gateway.ids import content_id, upload_id
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.access.authenticator import Issued
from pipeline.core.access import MediaLimits, TokenKind
from schemas.tokens import LinksRequest, LinksView, PermitRequest, PermitView, TicketView


async def permit(request: web.Request) -> web.StreamResponse:
    if (limit := request.app[LIMITS].permits) is not None:
        limit.require(request[CALLER].owner)
    wanted = await parse_json(request, PermitRequest)
    limits = MediaLimits(
        kinds=tuple(wanted.kinds),
        content_types=tuple(wanted.content_types),
        video_codecs=tuple(wanted.video_codecs),
        audio_codecs=tuple(wanted.audio_codecs),
        max_duration_seconds=wanted.max_duration_seconds,
        max_width=wanted.max_width,
        max_height=wanted.max_height,
    )
    permit_id, issued = request.app[SERVICES].authenticator.issue_permit(
        request[CALLER], wanted.expires_in, count=wanted.count, max_size_bytes=wanted.max_size, media=limits
    )
    view = PermitView(id=permit_id, token=issued.token, expires_at=expiry(issued), count=wanted.count)
    return success(view, 201)


async def ticket(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    detail = await services.lookup.detail(upload_id(request))
    upload = detail.upload
    seconds = request.app[OPTIONS].ticket_seconds
    issued = services.authenticator.issue(TokenKind.TICKET, request[CALLER], upload.owner, upload.upload_id, seconds)
    events = upload_links(base_url(request), upload.upload_id, upload.transport, upload.status).events
    return success(TicketView(url=_with_token(events, issued), expires_at=expiry(issued)), 201)


async def links(request: web.Request) -> web.StreamResponse:
    wanted = await parse_json(request, LinksRequest)
    services = request.app[SERVICES]
    content = await services.contents.get(content_id(request), sees(request))
    seconds = wanted.expires_in
    issued = services.authenticator.issue(TokenKind.LINK, request[CALLER], content.owner, content.id, seconds)
    urls = content_links(base_url(request), content.id, thumbnail=content.thumbnail is not None, receipt=False)
    view = LinksView(
        download=_with_token(urls.download, issued),
        thumbnail=_with_token(urls.thumbnail, issued) if urls.thumbnail else None,
        expires_at=expiry(issued),
    )
    return success(view, 201)


def expiry(issued: Issued) -> datetime:
    """When a token expires."""
    return datetime.fromtimestamp(issued.expires_at, UTC)


def _with_token(url: str, issued: Issued) -> str:
    return str(URL(url).update_query({URL_PARAMETER: issued.token}))


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/permits",
        permit,
        "Tokens",
        "Issue a permit",
        "A permit is a token for a client that chooses its files itself: with it, the client creates "
        "uploads of the caller's owner, within the limits of the permit. A limit on the file's metadata is "
        "checked as soon as the metadata is known, mostly long before the last segment, and an upload that breaks "
        "it fails with MEDIA_NOT_PERMITTED.",
        responses=(ResponseSpec(201, "The permit", PermitView),),
        errors=(*JSON_BODY_ERRORS, "RATE_LIMITED"),
        body=PermitRequest,
        access=access.PERMIT,
    ),
    Route(
        "POST",
        "/v1/uploads/{id}/tickets",
        ticket,
        "Tokens",
        "Issue a ticket for the event stream",
        "For a browser's EventSource, which cannot send headers: the response is a URL of the event "
        "stream that contains a ticket, a short-lived token.",
        responses=(ResponseSpec(201, "The ticket", TicketView),),
        errors=UPLOAD_LOOKUP_ERRORS,
        access=access.FOLLOW,
    ),
    Route(
        "POST",
        "/v1/contents/{id}/links",
        links,
        "Tokens",
        "Issue links to a content",
        "Links are URLs of the object and of its thumbnail that work without a key. They end when "
        "they expire, when the content is deleted, when the key that requested them is revoked, and when the "
        "secret that signed them is no longer in SLUICE_SIGNING_SECRET.",
        responses=(ResponseSpec(201, "The links", LinksView),),
        errors=(*JSON_BODY_ERRORS, *CONTENT_LOOKUP_ERRORS),
        body=LinksRequest,
        access=access.LIST_CONTENTS,
    ),
)
