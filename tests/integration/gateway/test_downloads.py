"""Downloads through the gateway, by RFC 9110 sections 13 to 15, with a real database and a store on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from uuid6 import uuid7

from pipeline.bootstrap import open_store
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject, StoredSegment, object_key, thumbnail_key
from pipeline.settings import Settings
from schemas.media import MediaMetadata
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

BODY = bytes(range(100))
ETAG = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
HALF = hashlib.md5(BODY[50:], usedforsecurity=False).hexdigest()
EARLIER, LATER = "Sat, 29 Oct 1994 19:43:31 GMT", "Fri, 29 Oct 2094 19:43:31 GMT"

ROUTES = {"download": (BODY, ETAG), "segments/2": (BODY[50:], HALF), "thumbnail": (BODY, ETAG)}
"""Each route with the bytes that it sends and their ETag."""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"store": "filesystem", "filesystem_dir": tmp_path / "store"})


@pytest.fixture
async def content(gateway: Gateway) -> str:
    """The URL of a content of 100 bytes in two segments, with a thumbnail."""
    name = str(uuid7())
    async with open_store(gateway.settings) as store:
        stored = await store.put_object(object_key(name), BODY, "video/mp4")
        thumbnail = await store.put_object(thumbnail_key(name), BODY, "image/jpeg")
    halves = (StoredSegment(1, 50, "first"), StoredSegment(2, 50, HALF))
    whole = StoredObject(stored.store, stored.container, stored.key, 100, ETAG, halves)
    media = MediaMetadata.model_validate({"kind": "video", "container": "mp4", "size_bytes": 100})
    await gateway.services.contents.save(
        ContentRecord(name, "é.mp4", 'video/mp4;codecs="a,b"', whole, thumbnail, media.model_dump(mode="json"), {})
    )
    return f"/v1/contents/{name}"


async def ask(gateway: Gateway, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Response:
    return await gateway.client.request(method, path, headers=headers)


TABLE: list[tuple[str, dict[str, str], int]] = [
    ("15.3.1", {}, 200),
    ("13.1.1", {"If-Match": '"{etag}"'}, 200),
    ("13.1.1", {"If-Match": "*"}, 200),
    ("13.1.1", {"If-Match": 'W/"{etag}"'}, 412),
    ("13.1.1", {"If-Match": '"other"'}, 412),
    ("13.1.2", {"If-None-Match": 'W/"{etag}"'}, 304),
    ("13.1.2", {"If-None-Match": '"other", "{etag}"'}, 304),
    ("13.1.2", {"If-None-Match": "*"}, 304),
    ("13.1.2", {"If-None-Match": '"other"'}, 200),
    ("13.1.3", {"If-Modified-Since": "{modified}"}, 304),
    ("13.1.3", {"If-Modified-Since": LATER}, 304),
    ("13.1.3", {"If-Modified-Since": EARLIER}, 200),
    ("13.1.3", {"If-Modified-Since": "{modified}", "If-None-Match": '"other"'}, 200),
    ("13.1.4", {"If-Unmodified-Since": "{modified}"}, 200),
    ("13.1.4", {"If-Unmodified-Since": EARLIER}, 412),
    ("13.2.2", {"If-Match": '"other"', "If-None-Match": '"{etag}"'}, 412),
    ("13.2.2", {"If-Match": '"{etag}"', "If-Unmodified-Since": EARLIER}, 200),
    ("13.2.2", {"If-None-Match": '"{etag}"', "Range": "bytes=999-"}, 304),
    ("13.2.2", {"If-Match": '"other"', "Range": "bytes=999-"}, 412),
    ("14.2", {"Range": "bytes=1-3"}, 206),
    ("14.1.2", {"Range": "bytes=10-"}, 206),
    ("14.1.2", {"Range": "bytes=-10"}, 206),
    ("14.1.2", {"Range": "bytes=0-999"}, 206),
    ("14.1.2", {"Range": "bytes=0-9, 10-19"}, 206),
    ("14.2", {"Range": "bytes=0-1, 10-11"}, 200),
    ("14.2", {"Range": "bytes=3-1"}, 200),
    ("14.2", {"Range": "lines=1-3"}, 200),
    ("14.2", {"Range": "bytes=x"}, 200),
    ("15.5.17", {"Range": "bytes=100-"}, 416),
    ("15.5.17", {"Range": "bytes=-0"}, 416),
    ("13.1.5", {"Range": "bytes=1-3", "If-Range": '"{etag}"'}, 206),
    ("13.1.5", {"Range": "bytes=1-3", "If-Range": "{modified}"}, 206),
    ("13.1.5", {"Range": "bytes=1-3", "If-Range": 'W/"{etag}"'}, 200),
    ("13.1.5", {"Range": "bytes=1-3", "If-Range": LATER}, 200),
    ("13.1.5", {"Range": "bytes=999-", "If-Range": '"other"'}, 200),
    ("13.1.5", {"If-Range": '"other"'}, 200),
]
"""Section, headers sent, and the status."""


@pytest.mark.parametrize("route", ROUTES)
async def test_requests_with_conditions(gateway: Gateway, content: str, route: str) -> None:
    body, etag = ROUTES[route]
    path = f"{content}/{route}"
    plain = await ask(gateway, path)
    for section, sent, status in TABLE:
        filled = {
            name: value.format(etag=etag, modified=plain.headers["Last-Modified"]) for name, value in sent.items()
        }
        response = await ask(gateway, path, filled)
        assert response.status == status, (section, sent)
        _check(response, plain, body, status)
        # Section 9.3.2: HEAD is GET without the body. Section 14.2: only GET has ranges.
        head = await ask(gateway, path, filled, "HEAD")
        assert head.status == {206: 200, 416: 200}.get(status, status), (section, sent)
        if status in (200, 304):
            assert _lasting(head) == _lasting(response)
        if status == 206:
            assert (head.headers["Content-Length"], "Content-Range" in head.headers) == (str(len(body)), False)


def _check(response: Response, plain: Response, body: bytes, status: int) -> None:
    """What the status requires of the response; `plain` is the response without conditions."""
    assert parsedate_to_datetime(response.headers["Date"])
    if status == 200:
        assert response.body == body
    if status == 206:  # section 15.3.7: the header fields of the 200, and Content-Range
        span = response.headers["Content-Range"].removeprefix("bytes ").partition("/")[0]
        first, last = map(int, span.split("-"))
        assert response.body == body[first : last + 1]
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(body)}"
        same: tuple[str, ...] = (
            "ETag",
            "Last-Modified",
            "Cache-Control",
            "Content-Type",
            "Content-Disposition",
            "Accept-Ranges",
        )
        assert [response.headers[name] for name in same] == [plain.headers[name] for name in same]
    if status == 304:  # section 15.4.5
        same = ("ETag", "Cache-Control")
        assert [response.headers[name] for name in same] == [plain.headers[name] for name in same]
        assert not {"Content-Type", "Last-Modified", "Content-Disposition", "Content-Range"} & set(response.headers)
    if status == 412:
        assert response.code == "PRECONDITION_FAILED"
    if status == 416:
        assert response.headers["Content-Range"] == f"bytes */{len(body)}"


def _lasting(response: Response) -> dict[str, str]:
    """The headers that are the same in every response."""
    named = {name.lower(): value for name, value in response.headers.items()}
    return {name: value for name, value in named.items() if name not in {"date", "x-request-id"}}


async def test_the_headers_of_a_download(gateway: Gateway, content: str) -> None:
    response = await ask(gateway, f"{content}/download")
    shown = (await ask(gateway, content)).data
    assert parsedate_to_datetime(response.headers["Last-Modified"]).isoformat() == shown["created_at"][:19] + "+00:00"
    assert {name: response.headers[name] for name in ("ETag", "Accept-Ranges", "Content-Length", "Content-Type")} == {
        "ETag": f'"{ETAG}"',
        "Accept-Ranges": "bytes",
        "Content-Length": "100",
        "Content-Type": 'video/mp4;codecs="a,b"',
    }
    assert response.headers["Content-Disposition"] == "attachment; filename=\"_.mp4\"; filename*=UTF-8''%C3%A9.mp4"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_two_range_headers_are_ignored(gateway: Gateway, content: str) -> None:
    headers = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")]
    response = await gateway.client.request("GET", f"{content}/download", headers=headers)
    assert (response.status, response.body) == (200, BODY)


async def test_an_etag_may_be_on_any_of_several_lines(gateway: Gateway, content: str) -> None:
    headers = [("If-None-Match", '"other"'), ("If-None-Match", f'"{ETAG}"')]
    assert (await gateway.client.request("GET", f"{content}/download", headers=headers)).status == 304
