"""Calls that a server does not have: they are not retried, and optional ones have another way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from pipeline.core.errors import StoreError, StoreUnavailable, StoreUnsupported
from pipeline.core.stored_objects import StoredSegment
from tests.contract.object_store.dialects import Dialect, s3_client
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS, FaultyStore, Handler, respond, store
from tests.contract.object_store.test_garbage import CONFIRM_NOTHING, Calls, clients
from tests.contract.object_store.uploads import Scenario, content, keys

pytestmark = pytest.mark.contract

STATUSES = (405, 501, 505)
# Optional: where the server lacks what these calls need, there is another way.
OPTIONAL = {"begin", "delegate_token", "check", "open_sessions", *CONFIRM_NOTHING} - {"read"}


@pytest.mark.parametrize("body", ["with a code", "without"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_call_that_a_server_does_not_have_is_not_retried(
    faulty: FaultyStore, dialect: Dialect, status: int, body: str
) -> None:
    xml = b"<Error><Code>NotImplemented</Code><Message>not here</Message></Error>" if body == "with a code" else b""
    async with clients(faulty.url, DEADLINE_SECONDS)[dialect.name]() as client:
        faulty.everything = respond(status, {"Content-Type": "application/xml"}, xml)
        if dialect.name == "swift":
            client._containers._exist = True
        for name, call in Calls(client).of_store().items():
            if name in OPTIONAL:
                continue
            with pytest.raises(StoreError) as raised:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await call()
            assert (raised.value.code, raised.value.retryable) == ("STORE_REJECTED", False), name
            assert not isinstance(raised.value, StoreUnavailable)


@pytest.mark.parametrize("status", STATUSES)
async def test_a_login_that_a_server_does_not_have_is_not_retried(faulty: FaultyStore, status: int) -> None:
    faulty.auth_fault = respond(status)
    async with clients(faulty.url, DEADLINE_SECONDS)["swift"]() as client:
        with pytest.raises(StoreUnsupported):
            await client.head("k")


def lacking(does_lack: Callable[[web.Request], bool], otherwise: Handler, status: int = 501) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if does_lack(request):
            await request.read()
            return web.Response(status=status)
        return await otherwise(request)

    return handler


@pytest.mark.parametrize("status", STATUSES)
async def test_swift_without_metadata_of_containers_stores_segments(faulty: FaultyStore, status: int) -> None:
    """Neither HEAD nor POST of a container: PUT creates it where it is missing."""

    async def healthy(request: web.Request) -> web.StreamResponse:
        if request.method == "PUT" and request.match_info.get("name", "").count("/") == 0:
            return web.Response(status=202)
        return await store(request)

    faulty.everything = lacking(lambda request: request.method in ("HEAD", "POST"), healthy, status)
    async with clients(faulty.url, DEADLINE_SECONDS)["swift"]() as client:
        assert (await client.put_object("k", b"body", "text/plain")).size_bytes == 4


@pytest.mark.parametrize("status", STATUSES)
async def test_swift_without_metadata_of_accounts_presigns_no_manifest(faulty: FaultyStore, status: int) -> None:
    def of_account(request: web.Request) -> bool:
        return request.path.rstrip("/").endswith("AUTH_test") and request.method in ("HEAD", "POST")

    faulty.everything = lacking(of_account, respond(204), status)
    async with clients(faulty.url, DEADLINE_SECONDS)["swift"]() as client:
        for count, offered in ((1, True), (2, False)):
            url = await client.presign_download(
                "k", segment_count=count, seconds=60, filename="f", content_type="video/mp4", inline=False
            )
            assert (url is not None) == offered


def s3_server(parts: int, *, lacks: Callable[[web.Request], bool], status: int) -> Handler:
    """As much of S3 as it takes to seal an upload of `parts` segments."""
    etags: dict[int, str] = {}

    async def healthy(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if "uploads" in request.query and request.method == "POST":
            return xml(b"<InitiateMultipartUploadResult><UploadId>s</UploadId></InitiateMultipartUploadResult>")
        if "partNumber" in request.query:
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            etags[int(request.query["partNumber"])] = digest
            return web.Response(headers={"ETag": f'"{digest}"'})
        joined = hashlib.md5(usedforsecurity=False)
        for number in sorted(etags):
            joined.update(bytes.fromhex(etags[number]))
        etag = f"{joined.hexdigest()}-{parts}"
        if request.method == "POST":
            return xml(f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>".encode())
        if request.method == "HEAD":
            return web.Response(headers={"ETag": f'"{etag}"', "Content-Length": "205"})
        return web.Response(status=204)

    return lacking(lacks, healthy, status)


def xml(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/xml")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("lacks", ["list uploads", "list everything", "abort", "head bucket"])
async def test_s3_without_an_optional_call_seals(faulty: FaultyStore, status: int, lacks: str) -> None:
    def does_lack(request: web.Request) -> bool:
        match lacks:
            case "list uploads":
                return request.method == "GET" and "uploads" in request.query
            case "list everything":
                return request.method == "GET"
            case "abort":
                return request.method == "DELETE"
            case _:
                return request.method == "HEAD" and request.path.count("/") == 1

    faulty.everything = s3_server(3, lacks=does_lack, status=status)
    async with s3_client(faulty.url, DEADLINE_SECONDS) as client:
        upload = Scenario(client, sizes=(100, 100, 5))
        sealed = await upload.sealed()
        assert sealed.size_bytes == 205
        if lacks.startswith("list"):
            await client.abort(upload.target)


async def test_s3_without_the_second_version_of_its_listing_is_listed_by_the_first(faulty: FaultyStore) -> None:
    pages = {
        None: (b"<IsTruncated>true</IsTruncated><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents>"),
        "b": b"<IsTruncated>false</IsTruncated><Contents><Key>c</Key></Contents>",
    }

    async def first_version(request: web.Request) -> web.StreamResponse:
        if "uploads" in request.query:
            return xml(b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
        return xml(b"<ListBucketResult>" + pages[request.query.get("marker")] + b"</ListBucketResult>")

    faulty.everything = lacking(lambda request: "list-type" in request.query, first_version)
    async with s3_client(faulty.url, DEADLINE_SECONDS) as client:
        assert await keys(client) == ["a", "b", "c"]


async def test_a_server_without_expect_gets_the_body_at_once(faulty: FaultyStore, dialect: Dialect) -> None:
    faulty.fault = lacking(lambda request: "Expect" in request.headers, store, status=417)
    async with clients(faulty.url, DEADLINE_SECONDS)[dialect.name]() as client:
        upload = Scenario(client, sizes=(1_000_000, 1))
        await upload.begin()
        with pytest.raises(StoreUnavailable):
            await upload.put(1)
        headers: list[Any] = []

        async def healthy(request: web.Request) -> web.StreamResponse:
            headers.append(request.headers.get("Expect"))
            return await store(request)

        faulty.fault = healthy
        [stored] = await upload.put(1)
        assert isinstance(stored, StoredSegment)
        assert headers == [None]


async def test_reading_is_not_optional(faulty: FaultyStore, dialect: Dialect) -> None:
    async with clients(faulty.url, DEADLINE_SECONDS)[dialect.name]() as client:
        faulty.everything = respond(405)
        with pytest.raises(StoreUnsupported):
            await content(client, "k")
