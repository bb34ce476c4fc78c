"""`PresignedDownloads` against the real servers, used by a client that has only the URL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

import aiohttp
import pytest
from yarl import URL

from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.object_store.s3 import S3ObjectStore
from pipeline.adapters.object_store.swift import ClientAccess, SwiftObjectStore, TempAuth, TempUrlSigner
from pipeline.adapters.object_store.swift.presigned import ACCOUNT_KEY_HEADERS
from pipeline.adapters.object_store.swift.tempurl import TempUrlDigest
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.contents.round_trip import examine_store
from pipeline.core.capabilities import CLIENT_CAPABILITIES, Capability, Verdict
from pipeline.core.stored_objects import SegmentSpan
from pipeline.ports import ContentTypes, PresignedDownloads
from tests.contract.object_store.conftest import (
    ceph_credentials,
    ceph_options,
    ceph_tempauth,
    s3_credentials,
    s3_options,
)
from tests.contract.object_store.uploads import Scenario
from tests.harness.ceph import CephEndpoint

pytestmark = pytest.mark.contract

TYPE = "video/webm"
CEPH_KEY = "the key of the account"
"""Ceph has keys on accounts only, and the tests share one account."""
NAME = 'Ünï "日本" & 100%.mp4'


@pytest.fixture(params=["swift-sha256", "swift-sha512", "swift-rgw", "s3", "s3-rgw"])
async def presigning(
    request: pytest.FixtureRequest, swift: SwiftEndpoint, tempauth: TempAuth, container: str
) -> AsyncIterator[SwiftObjectStore | S3ObjectStore]:
    if request.param == "s3-rgw":
        ceph: CephEndpoint = request.getfixturevalue("ceph")
        async with S3ObjectStore(container, ceph_credentials(ceph), options=ceph_options(ceph)) as s3_store:
            yield s3_store
        return
    if request.param == "swift-rgw":
        endpoint: CephEndpoint = request.getfixturevalue("ceph")
        access = ClientAccess(TempUrlSigner(CEPH_KEY, "sha1"))
        async with SwiftObjectStore(ceph_tempauth(endpoint), container, clients=access) as swift_store:
            yield swift_store
        return
    if request.param == "s3":
        async with S3ObjectStore(container, s3_credentials(swift), options=s3_options(swift)) as s3_store:
            yield s3_store
        return
    digest: TempUrlDigest = "sha512" if request.param.endswith("sha512") else "sha256"
    async with SwiftObjectStore(
        tempauth, container, clients=ClientAccess(TempUrlSigner("k ey", digest))
    ) as swift_store:
        yield swift_store


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(
    client: aiohttp.ClientSession, url: str | None, method: str = "GET", **headers: str
) -> tuple[int, bytes, str]:
    assert url is not None
    async with client.request(method, URL(url, encoded=True), headers=headers) as response:
        return response.status, await response.read(), response.headers.get("Content-Disposition", "")


def spans(upload: Scenario) -> list[SegmentSpan]:
    plan = upload.target.plan
    return [
        SegmentSpan(upload.target.upload_id, n, plan.count, plan.offset(n), plan.offset(n) + plan.length(n) - 1)
        for n in range(1, plan.count + 1)
    ]


@pytest.mark.parametrize("inline", [True, False])
async def test_the_url_alone_reads_the_object_and_nothing_else(
    presigning: SwiftObjectStore | S3ObjectStore,
    client: aiohttp.ClientSession,
    inline: bool,
    request: pytest.FixtureRequest,
) -> None:
    assert isinstance(presigning, PresignedDownloads)
    upload = Scenario(presigning)
    await upload.sealed()
    url = await presigning.presign_download(
        upload.target.key, segment_count=3, seconds=60, filename=NAME, content_type=TYPE, inline=inline
    )
    status, body, disposition = await get(client, url)
    assert (status, body) == (200, upload.data)
    assert disposition.startswith("inline" if inline else "attachment;")
    if "swift-rgw" not in request.node.name:  # Ceph 16 quotes no file name, and has none beside `inline`
        exact = re.search(r"filename\*=UTF-8''([^;]+)", disposition)
        assert exact is not None
        assert unquote(exact[1]) == NAME
    assert (await get(client, url, Range="bytes=5-9"))[:2] == (206, upload.data[5:10])
    assert (await get(client, url, "PUT"))[0] in (401, 403)
    assert (await get(client, url, "DELETE"))[0] in (401, 403)
    assert (await get(client, (url or "").replace("original", "other")))[0] in (401, 403)


async def test_the_response_has_the_type_that_was_recognised_after_storing(
    presigning: SwiftObjectStore | S3ObjectStore, client: aiohttp.ClientSession
) -> None:
    """By the URL where the store allows that, else by the object."""
    for sizes in ((300,), None):
        upload = Scenario(presigning, sizes=sizes)
        await upload.sealed()
        key = upload.target.key
        assert (await presigning.head(key)).content_type != TYPE
        if isinstance(presigning, ContentTypes):
            await presigning.set_content_type(key, TYPE)
        url = await presigning.presign_download(
            key, segment_count=upload.target.plan.count, seconds=60, filename=NAME, content_type=TYPE, inline=True
        )
        async with client.get(URL(url or "", encoded=True)) as response:
            assert (response.status, response.headers["Content-Type"]) == (200, TYPE)
            assert await response.read() == upload.data


async def test_each_segment_has_a_url(
    presigning: SwiftObjectStore | S3ObjectStore, client: aiohttp.ClientSession
) -> None:
    upload = Scenario(presigning)
    await upload.sealed()
    for span in spans(upload):
        link = await presigning.presign_segment_download(upload.target.key, span, seconds=60)
        assert link is not None
        status, body, _ = await get(client, link.url, **link.headers)
        assert status in (200, 206)
        assert body == upload.data[span.first_byte : span.last_byte + 1]


async def test_a_plain_object_is_its_own_segment(
    presigning: SwiftObjectStore | S3ObjectStore, client: aiohttp.ClientSession
) -> None:
    upload = Scenario(presigning, sizes=(300,))
    await upload.sealed()
    (span,) = spans(upload)
    link = await presigning.presign_segment_download(upload.target.key, span, seconds=60)
    assert link is not None
    assert link.headers == {}
    assert (await get(client, link.url))[:2] == (200, upload.data)


async def test_a_url_expires(presigning: SwiftObjectStore | S3ObjectStore, client: aiohttp.ClientSession) -> None:
    upload = Scenario(presigning, sizes=(300,))
    await upload.sealed()
    url = await presigning.presign_download(
        upload.target.key, segment_count=1, seconds=-30, filename="a", content_type="video/mp4", inline=False
    )
    if isinstance(presigning, S3ObjectStore):
        url = re.sub(r"X-Amz-Expires=[^&]*", "X-Amz-Expires=0", url or "")
    assert (await get(client, url))[0] in (400, 401, 403)


async def test_existing_containers_get_the_key(
    tempauth: TempAuth, container: str, client: aiohttp.ClientSession
) -> None:
    async with SwiftObjectStore(tempauth, container) as keyless:
        upload = Scenario(keyless)
        await upload.sealed()
        assert await _presigned_url(keyless, upload) is None
        assert await keyless.presign_segment_download(upload.target.key, spans(upload)[0], seconds=60) is None
    for key in ("first", "second"):  # the second replaces the first when the setting changes
        async with SwiftObjectStore(tempauth, container, clients=ClientAccess(TempUrlSigner(key))) as store:
            link = await store.presign_segment_download(upload.target.key, spans(upload)[0], seconds=60)
            assert link is not None
            assert (await get(client, link.url))[:2] == (200, upload.segment(1))


@pytest.fixture
def own_account(swift: SwiftEndpoint) -> SwiftEndpoint:
    """An account whose keys no other test changes."""
    return replace(swift, user=swift.other_user)


async def _account(swift: SwiftEndpoint, client: aiohttp.ClientSession, method: str, **headers: str) -> list[str]:
    """The keys of the account after a request to it."""
    login = {"X-Auth-User": swift.user, "X-Auth-Key": swift.key}
    async with client.get(swift.auth_url, headers=login) as response:
        url, token = response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]
    async with client.request(method, url, headers={"X-Auth-Token": token, **headers}) as response:
        return [response.headers.get(name, "") for name in ACCOUNT_KEY_HEADERS]


async def test_no_other_key_on_the_account_is_overwritten(
    own_account: SwiftEndpoint, container: str, client: aiohttp.ClientSession
) -> None:
    account = partial(_account, own_account, client)
    tempauth = TempAuth(own_account.auth_url, own_account.user, own_account.key)
    first, second = ACCOUNT_KEY_HEADERS
    for before, after in ((("", ""), ("ours", "")), (("theirs", ""), ("theirs", "ours")), (("a", "b"), ("a", "b"))):
        await account("POST", **{first: before[0], second: before[1]})
        async with SwiftObjectStore(tempauth, container, clients=ClientAccess(TempUrlSigner("ours"))) as store:
            upload = Scenario(store)
            await upload.sealed()
            url = await _presigned_url(store, upload)
            assert await account("HEAD") == list(after)
            if "ours" in after:
                assert (await get(client, url))[:2] == (200, upload.data)
            else:
                assert url is None
    await account("POST", **{first: "", second: ""})


@pytest.mark.parametrize("key", ["", "k ey"])
async def test_swift_offers_urls_with_a_key(own_account: SwiftEndpoint, container: str, key: str) -> None:
    access = ClientAccess(TempUrlSigner(key)) if key else ClientAccess()
    tempauth = TempAuth(own_account.auth_url, own_account.user, own_account.key)
    async with SwiftObjectStore(tempauth, container, clients=access) as store, HttpPlainClient() as plain:
        report = await examine_store(store, plain, thorough=False)
        works = {capability: report.works(capability) for capability in CLIENT_CAPABILITIES}
        assert works == dict.fromkeys(CLIENT_CAPABILITIES, bool(key)), [
            found for found in report.examined if found.reason
        ]
        assert not report.broken
        verdicts = {found.capability: found.verdict for found in report.examined}
        assert verdicts[Capability.PRESIGNED_PUT] is (Verdict.WORKS if key else Verdict.MISSING)
        assert verdicts[Capability.PRESIGNED_GET] is (Verdict.WORKS if key else Verdict.FALLBACK)
        assert [name async for name in store.list_keys()] == []


async def _presigned_url(store: SwiftObjectStore, upload: Scenario) -> str | None:
    return await store.presign_download(
        upload.target.key, segment_count=3, seconds=60, filename="a", content_type="video/mp4", inline=False
    )


def test_a_directory_presigns_nothing() -> None:
    assert not issubclass(FilesystemObjectStore, PresignedDownloads)
