"""Requests of clients of draft-ietf-httpbis-resumable-upload that are wrong, early, late or simultaneous. They name no
interop version, as clients of the final RFC will."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.resumable import PARTIAL, draft_create, draft_file, draft_head, draft_patch, status
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration


async def gone(gateway: Gateway, path: str) -> bool:
    """Whether the upload accepts no further interaction."""
    head = await draft_head(gateway, path, None)
    return head.status == 410 and "Upload-Offset" not in head.headers


async def in_pieces(*pieces: bytes) -> Any:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("value", ["true", "?2", "1", "?1, ?1", ""])
async def test_a_boolean_that_is_none(gateway: Gateway, value: str) -> None:
    """The field MUST be ignored, and without it the request is none of the draft."""
    response = await draft_create(gateway, value, b"12345", None, Upload_Length="10")
    assert (response.status, response.code) == (400, "UPLOAD_HEADER_INVALID")
    path = await draft_file(gateway, 10, None)
    response = await draft_patch(gateway, path, 0, value, b"12345", None)
    assert (response.status, response.code) == (400, "UPLOAD_HEADER_INVALID")


@pytest.mark.parametrize("missing", ["Upload-Offset", "Upload-Complete"])
async def test_an_append_without_a_field_it_must_have(gateway: Gateway, missing: str) -> None:
    path = await draft_file(gateway, 10, None)
    sent = {"Upload-Offset": "0", "Upload-Complete": "?0", **PARTIAL}
    del sent[missing]
    response = await gateway.client.request("PATCH", path, headers=sent, data=b"12345")
    assert (response.status, response.code) == (400, "UPLOAD_HEADER_INVALID")
    assert (await draft_head(gateway, path, None)).headers["Upload-Offset"] == "0"


async def test_get_says_what_head_says(gateway: Gateway) -> None:
    path = await draft_file(gateway, 10, None)
    await draft_patch(gateway, path, 0, "?0", b"123", None)
    head = await draft_head(gateway, path, None)
    shown = await gateway.client.request("GET", path)
    for name in ("Upload-Offset", "Upload-Length", "Upload-Complete", "Cache-Control"):
        assert shown.headers[name] == head.headers[name]
    assert "max-age=" in shown.headers["Upload-Limit"]
    assert (shown.status, shown.data["offset"], shown.data["complete"]) == (200, 3, False)


@pytest.mark.parametrize("path", ["/files/definitely-nonexistent-id", "/files/0", "/files/01a21d5f-5f9f-7cae-adaf"])
@pytest.mark.parametrize("method", ["HEAD", "DELETE", "GET"])
async def test_an_upload_that_never_was(gateway: Gateway, path: str, method: str) -> None:
    response = await gateway.client.request(method, path)
    assert (response.status, "Upload-Offset" in response.headers) == (404, False)


async def test_a_wrong_offset_leaves_the_upload_as_it_is(gateway: Gateway) -> None:
    """The offset MUST NOT decrease, and the one in the response is where the client can go on."""
    path = await draft_file(gateway, 100, None)
    await draft_patch(gateway, path, 0, "?0", b"a" * 32, None)
    for wrong in (0, 5, 33):
        response = await draft_patch(gateway, path, wrong, "?0", b"b" * 32, None)
        assert (response.status, response.headers["Upload-Offset"]) == (409, "32")
    assert (await draft_patch(gateway, path, 32, "?0", b"b" * 32, None)).status == 204


@pytest.mark.parametrize("first", ["?0", "?1"])
@pytest.mark.parametrize("known", [True, False])
async def test_more_than_the_length_ends_the_upload(gateway: Gateway, first: str, *, known: bool) -> None:
    """Also when exactly that length has arrived before; Content-Length MUST NOT be relied on."""
    path = await draft_file(gateway, 50, None)
    assert (await draft_patch(gateway, path, 0, first, b"a" * 50, None)).status == 204
    body: Any = b"b" if known else in_pieces(b"b")
    response = await draft_patch(gateway, path, 50, "?0", body, None)
    assert (response.status, response.code) == (400, "APPEND_TOO_LONG")
    assert response.headers["Upload-Complete"] == "?0"
    assert await gone(gateway, path)
    assert (await status(gateway, path))["status"] == "cancelled"


async def test_a_completed_upload_can_be_completed_again(gateway: Gateway) -> None:
    """A response may have been lost: the final one is sent again, for a body without bytes of either kind."""
    path = await draft_file(gateway, 10, None)
    await draft_patch(gateway, path, 0, "?1", b"0123456789", None)
    for body in (b"", in_pieces()):
        again = await draft_patch(gateway, path, 10, "?1", body, None)
        assert (again.status, again.headers["Upload-Complete"]) == (204, "?1")
    head = await draft_head(gateway, path, None)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Complete"]) == ("10", "?1")


async def test_an_append_without_bytes(gateway: Gateway) -> None:
    """No min-append-size is announced."""
    path = await draft_file(gateway, 10, None)
    response = await draft_patch(gateway, path, 0, "?0", b"", None)
    assert (response.status, response.headers["Upload-Offset"]) == (204, "0")


async def test_an_empty_file_is_below_the_limit(gateway: Gateway) -> None:
    """A request that violates a limit SHOULD get it: an empty file is no media."""
    for complete in ("?0", "?1"):
        response = await draft_create(gateway, complete, None, None, Upload_Length="0")
        assert (response.status, response.headers["Upload-Limit"]) == (400, "min-size=1")


async def test_the_name_of_the_file(gateway: Gateway) -> None:
    """Content-Disposition names the file; `inline` is RECOMMENDED."""
    named = 'inline; filename="holiday.mp4"'
    response = await draft_create(gateway, "?0", None, None, Upload_Length="10", Content_Disposition=named)
    path = response.headers["Location"].removeprefix(gateway.url)
    assert (await status(gateway, path))["filename"] == "holiday.mp4"


async def test_options_ignores_fields_of_an_upload(gateway: Gateway) -> None:
    response = await gateway.client.request("OPTIONS", "/files/", headers={"Upload-Complete": "?1"})
    assert (response.status, response.headers["Upload-Limit"]) == (200, "min-size=1")


async def test_of_two_appends_at_one_offset_one_counts(gateway: Gateway) -> None:
    """The server MUST prevent race conditions."""
    path = await draft_file(gateway, 100, None)
    both = await asyncio.gather(*(draft_patch(gateway, path, 0, "?0", text * 32, None) for text in (b"a", b"b")))
    statuses = sorted(response.status for response in both)
    assert statuses[0] == 204
    assert statuses[1] in (409, 503)
    assert (await draft_head(gateway, path, None)).headers["Upload-Offset"] == "32"


async def test_delete_ends_an_append(gateway: Gateway) -> None:
    path = await draft_file(gateway, 100, None)
    sent = {"Upload-Offset": "0", "Upload-Complete": "?0", "Content-Length": "64", **PARTIAL}
    async with connect(gateway.url) as wire:
        await wire.begin("PATCH", path, sent, b"a" * 32)
        assert (await gateway.client.request("DELETE", path)).status == 204
        assert await gone(gateway, path)
        assert (await draft_patch(gateway, path, 0, "?0", b"a", None)).status == 410


async def test_the_offset_of_a_running_append_holds(gateway: Gateway) -> None:
    """An offset MUST NOT be outdated: HEAD ends the append, and what had arrived counts."""
    path = await draft_file(gateway, 100, None)
    sent = {"Upload-Offset": "0", "Upload-Complete": "?0", "Content-Length": "64", **PARTIAL}
    async with connect(gateway.url) as wire:
        await wire.begin("PATCH", path, sent, b"a" * 32)
        reached = (await draft_head(gateway, path, None)).headers["Upload-Offset"]
        assert reached in ("0", "32")
        assert (await draft_patch(gateway, path, int(reached), "?0", b"b" * 10, None)).status == 204
