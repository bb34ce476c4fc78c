"""tus 1.0 on a running gateway: creation, appends of any size, resuming, termination."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

from gateway.options import GatewayOptions
from tests.harness.cell import eventually
from tests.integration.gateway.conftest import OPTIONS, ORIGIN, SEGMENT_BYTES, Gateway
from tests.integration.gateway.resumable import BODY, SIZE, TUS, create, encoded, new_file, offset, patch, status
from tests.integration.gateway.wire import Wire, connect

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("size", "chunk"), [(40, 1), (5000, 700), (SIZE, SEGMENT_BYTES), (SIZE, SEGMENT_BYTES + 1), (SIZE, SIZE)]
)
async def test_chunks_of_any_size(gateway: Gateway, size: int, chunk: int) -> None:
    data, path = os.urandom(size), await new_file(gateway, size)
    for start in range(0, size, chunk):
        response = await patch(gateway, path, start, data[start : start + chunk])
        end = min(start + chunk, size)
        assert (response.status, response.headers["Upload-Offset"]) == (204, str(end))
        assert ("Upload-Expires" in response.headers) == (end < size)
    assert await offset(gateway, path) == size
    assert (await status(gateway, path))["bytes_received"] == size


async def test_what_the_client_says_about_its_file(gateway: Gateway) -> None:
    sent = f"filename {encoded('día.mp4')},filetype {encoded('video/mp4')}, album {encoded('Sea, 2026')},flag,empty "
    path = await new_file(gateway, Upload_Metadata=sent)
    view = await status(gateway, path)
    assert (view["filename"], view["content_type"]) == ("día.mp4", "video/mp4")
    assert view["metadata"]["album"] == "Sea, 2026"
    head = await gateway.client.request("HEAD", path, headers=TUS)
    assert head.headers["Upload-Metadata"] == sent.replace(", ", ",").rstrip()
    assert head.headers["Sluice-Upload-Id"] == view["id"]
    assert head.headers["Link"] == f'<{gateway.url}/v1/uploads/{view["id"]}>; rel="status"'


@pytest.mark.parametrize(
    ("sent", "filename", "content_type"),
    [
        ("", "upload", "application/octet-stream"),
        (f"name {encoded('a.mov')},type {encoded('video/quicktime')}", "a.mov", "video/quicktime"),
        (f"name {encoded('b')},filename {encoded('a')}", "a", "application/octet-stream"),
        (f"filetype {encoded('null')},type {encoded('video/mp4')}", "upload", "video/mp4"),
        (f"content_type {encoded('image/png')}", "upload", "image/png"),
    ],
)
async def test_the_keys_that_clients_use(gateway: Gateway, sent: str, filename: str, content_type: str) -> None:
    view = await status(gateway, await new_file(gateway, Upload_Metadata=sent))
    assert (view["filename"], view["content_type"]) == (filename, content_type)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("filename *", "UPLOAD_HEADER_INVALID"),
        (f"a {encoded('1')},a {encoded('2')}", "UPLOAD_HEADER_INVALID"),
        (f",a {encoded('1')}", "UPLOAD_HEADER_INVALID"),
        ("a /w==", "UPLOAD_HEADER_INVALID"),
        (f"filename {encoded('a/b.mp4')}", "VALIDATION_FAILED"),
        (f"filename {encoded('a' * 256)}", "VALIDATION_FAILED"),
        (",".join(f"k{number}" for number in range(33)), "VALIDATION_FAILED"),
    ],
)
async def test_metadata_that_is_refused(gateway: Gateway, sent: str, code: str) -> None:
    response = await create(gateway, Upload_Metadata=sent)
    assert (response.status, response.code) == (400, code)


async def test_a_file_that_is_no_media_is_refused_at_creation(gateway: Gateway) -> None:
    response = await create(gateway, Upload_Metadata=f"filetype {encoded('application/pdf')}")
    assert (response.status, response.code) == (422, "CONTENT_TYPE_NOT_MEDIA")


async def test_an_empty_file_is_refused_as_the_api_does(gateway: Gateway) -> None:
    response = await create(gateway, 0)
    assert (response.status, response.code) == (400, "VALIDATION_FAILED")
    assert response.detail["fields"][0]["field"] == "size"


async def test_creation_with_upload(gateway: Gateway) -> None:
    data = os.urandom(SIZE)
    response = await create(gateway, SIZE, data[: SEGMENT_BYTES + 5])
    assert (response.status, response.headers["Upload-Offset"]) == (201, str(SEGMENT_BYTES + 5))
    path = response.headers["Location"].removeprefix(gateway.url)
    assert (await patch(gateway, path, SEGMENT_BYTES + 5, data[SEGMENT_BYTES + 5 :])).status == 204
    whole = await create(gateway, SIZE, data)
    assert (whole.headers["Upload-Offset"], "Upload-Expires" in whole.headers) == (str(SIZE), False)


async def test_an_idempotency_key_makes_a_repeated_creation_harmless(gateway: Gateway) -> None:
    data = os.urandom(500)
    first = await create(gateway, 500, data[:200], Idempotency_Key="k")
    again = await create(gateway, 500, data[:200], Idempotency_Key="k")
    assert first.headers["Location"] == again.headers["Location"]
    assert (again.status, again.headers["Upload-Offset"]) == (201, "200")


async def test_an_interrupted_request_is_resumed_at_the_exact_byte(gateway: Gateway) -> None:
    data, path = os.urandom(SIZE), await new_file(gateway)
    async with sending(gateway, path, data):
        pass
    reached = await offset(gateway, path)
    assert SEGMENT_BYTES <= reached <= SEGMENT_BYTES + 123
    assert (await patch(gateway, path, reached, data[reached:])).headers["Upload-Offset"] == str(SIZE)
    assert (await status(gateway, path))["bytes_received"] == SIZE


async def test_of_two_requests_the_newer_one_continues(gateway: Gateway) -> None:
    data, path = os.urandom(SIZE), await new_file(gateway)
    async with sending(gateway, path, data) as older:
        reached = await offset(gateway, path)
        head = await older.head()
        assert (head.status, "upload-offset" in head.headers) == (423, False)
        assert (await older.body(head))["error"]["code"] == "APPEND_SUPERSEDED"
    assert SEGMENT_BYTES <= reached <= SEGMENT_BYTES + 123
    assert (await patch(gateway, path, reached, data[reached:])).headers["Upload-Offset"] == str(SIZE)


@asynccontextmanager
async def sending(gateway: Gateway, path: str, data: bytes) -> AsyncIterator[Wire]:
    """A request of which one segment and a part of the next have been sent, and the segment has arrived."""
    async with connect(gateway.url) as wire:
        headers = {**TUS, **BODY, "Upload-Offset": "0", "Content-Length": str(len(data))}
        await wire.begin("PATCH", path, headers, data[: SEGMENT_BYTES + 123])

        async def arrived() -> bool:
            return bool((await status(gateway, path))["bytes_received"] >= SEGMENT_BYTES)

        await eventually(arrived, 20, lambda: "the first segment")
        yield wire


async def test_two_requests_at_once_do_not_damage_the_file(gateway: Gateway) -> None:
    data, path = os.urandom(SIZE), await new_file(gateway)
    responses = await asyncio.gather(*(patch(gateway, path, 0, data) for _ in range(4)))
    assert {response.status for response in responses} <= {204, 409, 413, 423}
    reached = await offset(gateway, path)
    if reached < SIZE:
        assert (await patch(gateway, path, reached, data[reached:])).status == 204
    assert (await status(gateway, path))["bytes_received"] == SIZE


async def test_an_upload_that_was_terminated_is_gone(gateway: Gateway) -> None:
    path = await new_file(gateway)
    assert (await gateway.client.request("DELETE", path, headers=TUS)).status == 204
    for method in ("HEAD", "GET", "DELETE"):
        response = await gateway.client.request(method, path, headers=TUS)
        assert (response.status, "Upload-Offset" in response.headers) == (410, False), method
    assert (await patch(gateway, path, 0, b"x")).code == "UPLOAD_ENDED"
    assert (await status(gateway, path))["status"] == "cancelled"


async def test_an_upload_of_another_transport_is_none_of_this_protocol(gateway: Gateway) -> None:
    response = await gateway.client.request("HEAD", "/files/unknown", headers=TUS)
    assert (response.status, response.headers["Tus-Resumable"]) == (404, "1.0.0")


async def test_both_interfaces_show_one_upload(gateway: Gateway) -> None:
    """Segments that arrived by PUT count for the offset, as far as there is no gap."""
    data, upload = os.urandom(SIZE), await gateway.create(SIZE)
    path = f"/files/{upload['id']}"
    second = data[SEGMENT_BYTES : 2 * SEGMENT_BYTES]
    await gateway.client.request("PUT", f"/v1/uploads/{upload['id']}/segments/2", data=second)
    assert await offset(gateway, path) == 0
    assert (await patch(gateway, path, 0, data[:SEGMENT_BYTES])).headers["Upload-Offset"] == str(SEGMENT_BYTES)
    assert await offset(gateway, path) == 2 * SEGMENT_BYTES


async def test_get_shows_the_offset_to_people(gateway: Gateway) -> None:
    path = await new_file(gateway)
    await patch(gateway, path, 0, b"x" * 10)
    shown = (await gateway.client.request("GET", path)).data
    assert (shown["offset"], shown["size"], shown["complete"]) == (10, SIZE, False)
    assert (await gateway.client.request("GET", shown["upload"])).data["id"] == shown["id"]


async def test_the_end_of_an_upload_that_is_not_continued(gateway: Gateway) -> None:
    response = await create(gateway)
    path = response.headers["Location"].removeprefix(gateway.url)
    expires = (await status(gateway, path))["expires_at"]
    for headers in (response.headers, (await gateway.client.request("HEAD", path, headers=TUS)).headers):
        assert (
            abs(
                parsedate_to_datetime(headers["Upload-Expires"]).timestamp()
                - datetime.fromisoformat(expires).timestamp()
            )
            < 60
        )


async def test_a_page_of_another_origin_may_send_and_read_what_tus_needs(gateway: Gateway) -> None:
    asked = "tus-resumable,upload-length,upload-metadata,upload-offset,upload-checksum,content-type,x-request-id"
    for path, method in (("/files/", "POST"), ("/files/u", "PATCH"), ("/files/u", "HEAD"), ("/files/u", "DELETE")):
        headers = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": asked,
        }
        response = await gateway.client.request("OPTIONS", path, headers=headers)
        assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
        allowed = set(response.headers["Access-Control-Allow-Headers"].lower().split(", "))
        assert {name.strip() for name in asked.split(",")} <= allowed
    exposed = (await create(gateway, Origin=ORIGIN)).headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "Upload-Offset", "Upload-Length", "Tus-Resumable", "Upload-Expires", "Link"} <= set(exposed)


class TestBehindAProxy:
    @pytest.fixture
    def options(self) -> GatewayOptions:
        return replace(OPTIONS, trust_forwarded=True)

    async def test_the_location_is_where_the_client_is(self, gateway: Gateway) -> None:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "upload.example"}
        response = await gateway.client.request("POST", "/files", headers={**TUS, "Upload-Length": "5", **headers})
        assert response.headers["Location"] == f"https://upload.example/files/{response.headers['Sluice-Upload-Id']}"
