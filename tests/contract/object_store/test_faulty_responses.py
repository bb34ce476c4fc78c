"""Responses that do not mean what their status says: manifests that Swift or S3 did not store."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from pipeline.adapters.object_store.s3.parts import multipart_etag
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.stored_objects import StoredSegment
from tests.contract.object_store.dialects import s3_client, swift_client
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS, FaultyStore, respond
from tests.contract.object_store.uploads import Scenario, Store

pytestmark = pytest.mark.contract


async def seal(client: Store) -> StoreError:
    upload = Scenario(client, sizes=(100, 100, 5))
    await upload.begin()
    segments = [StoredSegment(number, upload.target.plan.length(number), "0" * 32) for number in (1, 2, 3)]
    with pytest.raises(StoreError) as raised:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await client.seal(upload.target, segments)
    return raised.value


def heartbeat(status: str, **more: object) -> bytes:
    return b"   \r\n\r\n" + json.dumps({"Response Status": status, "Response Body": "", "Errors": [], **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "unavailable"),
    [
        (202, heartbeat("201 Created", Etag='"feed"'), "STORE_UNAVAILABLE", True),
        (202, heartbeat("503 Service Unavailable"), "STORE_UNAVAILABLE", True),
        (202, heartbeat("413 Request Entity Too Large"), "STORE_REJECTED", False),
        (202, heartbeat("400 Bad Request", Errors=[["/c_segments/x/1", "404 Not Found"]]), "MANIFEST_REFUSED", False),
        (202, heartbeat("400 Bad Request", Errors=[["/c_segments/x/1", "503 Busy"]]), "STORE_UNAVAILABLE", True),
        (202, b"       ", "STORE_UNAVAILABLE", True),
        (202, b"", "STORE_UNAVAILABLE", True),
        (202, b"[]", "STORE_UNAVAILABLE", True),
        (201, b"", "STORE_UNAVAILABLE", True),
        (400, b"Errors: /c/x 404", "MANIFEST_REFUSED", False),
        (500, b"", "STORE_UNAVAILABLE", True),
        (413, b"", "STORE_REJECTED", False),
    ],
)
async def test_a_manifest_that_was_not_stored_is_an_error_with_its_reason(
    faulty: FaultyStore, status: int, body: bytes, code: str, unavailable: bool
) -> None:
    faulty.fault = respond(status, {"Etag": "feed"}, body)
    async with swift_client(faulty.url) as client:
        error = await seal(client)
    assert (error.code, isinstance(error, StoreUnavailable)) == (code, unavailable)


@pytest.mark.parametrize(
    ("stored", "code", "numbers"),
    [
        (web.Response(headers={"Etag": "0" * 32}, body=b"x" * 100), "STORE_UNAVAILABLE", None),
        (web.Response(headers={"Etag": "1" * 32}, body=b"x" * 100), "MANIFEST_REFUSED", [1]),
        (web.Response(headers={"Etag": "0" * 32}, body=b"x" * 99), "MANIFEST_REFUSED", [1]),
        (web.Response(status=404), "MANIFEST_REFUSED", [1]),
    ],
    ids=["as it was acknowledged", "with another digest", "with another length", "gone"],
)
async def test_a_segment_that_a_refused_manifest_names_is_looked_at_before_it_is_requested_again(
    faulty: FaultyStore, stored: web.Response, code: str, numbers: list[int] | None
) -> None:
    """A byte of the manifest may have been changed on its way to Swift."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=stored.status, headers=stored.headers, body=stored.body)
        named = json.loads(await request.read())[0]["path"]
        return web.Response(status=202, body=heartbeat("400 Bad Request", Errors=[[named, "Etag Mismatch"]]))

    faulty.fault = handler
    async with swift_client(faulty.url) as client:
        error = await seal(client)
    assert (error.code, error.detail.get("segments")) == (code, numbers)


def xml(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>a reason</Message></Error>".encode()


COMPLETED = b"<CompleteMultipartUploadResult><ETag>&quot;feed-3&quot;</ETag></CompleteMultipartUploadResult>"


@pytest.mark.parametrize(
    ("status", "body", "code", "unavailable"),
    [
        (200, xml("InternalError"), "STORE_UNAVAILABLE", True),
        (200, xml("SlowDown"), "STORE_UNAVAILABLE", True),
        (200, COMPLETED, "STORE_UNAVAILABLE", True),
        (200, b"", "STORE_UNAVAILABLE", True),
        (200, b"   ", "STORE_UNAVAILABLE", True),
        (400, xml("InvalidPart"), "MANIFEST_REFUSED", False),
        (400, xml("RequestTimeout"), "STORE_UNAVAILABLE", True),
        (400, xml("EntityTooSmall"), "STORE_REJECTED", False),
        (403, xml("AccessDenied"), "STORE_AUTH_FAILED", False),
        (404, xml("NoSuchUpload"), "MANIFEST_REFUSED", False),
        (500, b"", "STORE_UNAVAILABLE", True),
    ],
)
async def test_a_multipart_upload_that_was_not_completed_is_an_error_with_its_reason(
    faulty: FaultyStore, status: int, body: bytes, code: str, unavailable: bool
) -> None:
    """S3 may send 200 at once and the actual result in the body, minutes later."""
    complete = respond(status, body=body)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await complete(request)
        return web.Response(status=404)  # neither the object nor the session exists

    faulty.fault = handler
    async with s3_client(faulty.url) as client:
        error = await seal(client)
    assert (error.code, isinstance(error, StoreUnavailable)) == (code, unavailable)


@pytest.mark.parametrize("code", ["NoSuchUpload", "NoSuchKey"])
async def test_a_500_about_a_session_that_no_longer_exists_is_not_repeated(faulty: FaultyStore, code: str) -> None:
    """Ceph 16 responds so, with NoSuchKey, when the session was aborted."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=500, body=xml("InternalError"))
        return web.Response(status=404, body=xml(code))

    faulty.fault = handler
    async with s3_client(faulty.url) as client:
        error = await seal(client)
    assert (error.code, error.detail["segments"]) == ("MANIFEST_REFUSED", [1, 2, 3])


@pytest.mark.parametrize("etag", ["", "&quot;EXPECTED&quot;"])
@pytest.mark.parametrize("joined", ["EXPECTED", "0123456789abcdef0123456789abcdef-3"])
async def test_the_etag_of_the_object_decides(faulty: FaultyStore, etag: str, joined: str) -> None:
    """Ceph 16 sends an empty ETag when it completes a multipart upload; HEAD then has it."""
    expected = multipart_etag([StoredSegment(number, 1, "0" * 32) for number in (1, 2, 3)])
    completed = COMPLETED.replace(b"&quot;feed-3&quot;", etag.replace("EXPECTED", expected).encode())

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(body=completed)
        if request.method == "HEAD":
            headers = {"ETag": f'"{joined.replace("EXPECTED", expected)}"', "Content-Length": "205"}
            return web.Response(headers=headers)
        return web.Response(body=b"<ListMultipartUploadsResult/>")

    faulty.fault = handler
    async with s3_client(faulty.url) as client:
        upload = Scenario(client, sizes=(100, 100, 5))
        await upload.begin()
        segments = [StoredSegment(number, upload.target.plan.length(number), "0" * 32) for number in (1, 2, 3)]
        if joined == "EXPECTED":
            assert (await client.seal(upload.target, segments)).etag == expected
        else:
            with pytest.raises(StoreUnavailable, match="expected"):
                await client.seal(upload.target, segments)
