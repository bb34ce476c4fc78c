"""Responses that do not mean what their status says: manifests that Swift or S3 did not store."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.model import StoredSegment
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
