"""The spans of requests that create uploads or name one.

Guarantee: a request has a span only while traces are on, and only once its caller is known to be permitted, so that
strangers make no spans. Only then is anything read for it: the trace of an upload, once per gateway. A request that
verifies its sender itself has one, which is dropped when the sender is refused.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.access import named_upload
from gateway.keys import CALLER, SERVICES
from gateway.routing import Route
from pipeline.tracing import RequestSpan, request_span

_SPAN = web.RequestKey("span", RequestSpan)
_UPLOADS: Final = ("/v1/uploads/{id}", "/files/{id}", "/s3/multipart/{id}")
_ID_CHARACTERS: Final = 64
_TRACEPARENT: Final = "traceparent"


def is_traced(route: Route) -> bool:
    """Event streams are not: their spans would last as long as their clients want."""
    return route.creates or (route.path.startswith(_UPLOADS) and not route.streaming)


async def start_span(request: web.Request, route: Route) -> None:
    """Start the span of this request; `end_span` ends it. Raises nothing of its own."""
    attributes: dict[str, str] = {"http.request.method": request.method, "http.route": route.path}
    of_upload = None
    if (named := request.match_info.get("id")) is not None:
        upload_id = named_upload(named)[0][:_ID_CHARACTERS]
        attributes["sluice.upload_id"] = upload_id
        of_upload = await request.app[SERVICES].traces.of(upload_id)
    if (number := request.match_info.get("number")) is not None:
        attributes["sluice.segment"] = number[:_ID_CHARACTERS]
    sent = request.headers.getall(_TRACEPARENT, [])
    of_client = sent[0] if len(sent) == 1 else None  # several: as none (W3C Trace Context, section 3.2)
    span = request_span(f"{request.method} {route.path}", of_upload, of_client, attributes)
    if span is not None:
        request[_SPAN] = span


def end_span(request: web.Request, status: int | None, code: str | None) -> None:
    """End the span of this request, if it has one. `status`: None if the request was cancelled."""
    span = request.get(_SPAN)
    if span is not None:
        span.end(status, code, kept=CALLER in request or (status is not None and status < 400))
