"""The table of links: every route below an upload or a content, and exactly those that apply to an upload."""

from __future__ import annotations

import pytest

from gateway.api.links import CONTENT_LINKS, UPLOAD_LINKS, content_links, import_links, upload_links
from gateway.app import ALL_ROUTES
from pipeline.core.lifecycle import Status
from pipeline.core.transports import Transport
from schemas.content import ContentLinks
from schemas.uploads import UploadLinks

pytestmark = pytest.mark.unit

BASE = "https://h.example/prefix"
UPLOAD = f"{BASE}/v1/uploads/u"
ENDED_BADLY = (Status.FAILED, Status.EXPIRED, Status.CANCELLED)


def below(prefix: str) -> set[str]:
    return {route.path for route in ALL_ROUTES if route.path.startswith(prefix)}


def test_every_route_below_an_upload_or_a_content_is_linked() -> None:
    own = {link.path for link in UPLOAD_LINKS.values()}
    assert own - {"/v1/contents/{id}"} == below("/v1/uploads/{id}")
    assert set(CONTENT_LINKS.values()) == below("/v1/contents/{id}")
    assert set(UPLOAD_LINKS) == set(UploadLinks.model_fields)
    assert set(CONTENT_LINKS) == set(ContentLinks.model_fields)


def shown(transport: Transport, status: Status) -> dict[str, str]:
    links = upload_links(BASE, "u", transport, status).model_dump()
    return {name: url for name, url in links.items() if url is not None}


ALWAYS = {"self": UPLOAD, "events": f"{UPLOAD}/events", "tickets": f"{UPLOAD}/tickets"}
SEGMENT = {"segment": f"{UPLOAD}/segments/{{number}}"}
COMPLETE = {"complete": f"{UPLOAD}/complete"}
GRANTS = {"grants": f"{UPLOAD}/grants"}
THUMBNAIL = {"thumbnail": f"{UPLOAD}/thumbnail"}
CONTENT = {"content": f"{BASE}/v1/contents/u"}
IN_FLIGHT = (Status.WAITING, Status.ADMITTED, Status.RECEIVING, Status.PROCESSING)


@pytest.mark.parametrize(
    ("transport", "status", "expected"),
    [
        *((Transport.GATEWAY, status, SEGMENT) for status in IN_FLIGHT),
        *((transport, Status.GRANTED, {**COMPLETE, **GRANTS}) for transport in (Transport.DIRECT, Transport.TOKEN)),
        *((transport, status, COMPLETE) for transport in (Transport.DIRECT, Transport.TOKEN) for status in IN_FLIGHT),
        *((Transport.IMPORT, status, {}) for status in IN_FLIGHT),
        *((Transport.FINAL, status, {}) for status in IN_FLIGHT),
        *((transport, Status.READY, CONTENT) for transport in Transport if transport is not Transport.PARTIAL),
        *((Transport.PARTIAL, status, {}) for status in (*IN_FLIGHT, Status.HELD, Status.JOINED)),
        *((transport, status, {}) for transport in Transport for status in ENDED_BADLY),
    ],
)
def test_the_links_of_an_upload(transport: Transport, status: Status, expected: dict[str, str]) -> None:
    thumbnail = {} if status in ENDED_BADLY or transport is Transport.PARTIAL else THUMBNAIL
    assert shown(transport, status) == {**ALWAYS, **thumbnail, **expected}


def test_the_links_of_an_import_lead_to_its_content_once_it_is_ready() -> None:
    """By then the record of its upload may have been removed."""
    waiting = import_links(BASE, "u", Status.WAITING)
    assert (waiting.self, waiting.events, waiting.content) == (UPLOAD, f"{UPLOAD}/events", None)
    ready = import_links(BASE, "u", Status.READY)
    assert (ready.self, ready.events, ready.content) == (None, None, f"{BASE}/v1/contents/u")


def test_the_links_of_a_content() -> None:
    links = content_links(BASE, "u", thumbnail=True, receipt=True)
    assert links.model_dump() == {
        "self": f"{BASE}/v1/contents/u",
        "download": f"{BASE}/v1/contents/u/download",
        "segments": f"{BASE}/v1/contents/u/segments",
        "segment": f"{BASE}/v1/contents/u/segments/{{number}}",
        "thumbnail": f"{BASE}/v1/contents/u/thumbnail",
        "links": f"{BASE}/v1/contents/u/links",
        "receipt": f"{BASE}/v1/contents/u/receipt",
    }
    without = content_links(BASE, "u", thumbnail=False, receipt=False)
    assert (without.thumbnail, without.receipt) == (None, None)
