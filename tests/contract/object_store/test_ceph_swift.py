"""Ceph's Swift API where it differs from Swift: no account in URLs, SHA-1 TempURLs, manifests that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from pipeline.adapters.object_store.swift import ClientAccess, SwiftObjectStore, TempUrlSigner
from pipeline.adapters.object_store.swift.tempurl import TempUrlDigest
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.contents.round_trip import examine_store
from pipeline.core.capabilities import CAPABILITIES, CLIENT_CAPABILITIES
from pipeline.core.errors import StoreError
from pipeline.core.stored_objects import SegmentSpan
from tests.contract.object_store.conftest import ceph_tempauth
from tests.contract.object_store.test_presigned_downloads import CEPH_KEY
from tests.contract.object_store.uploads import MemorySource, Scenario, content, keys, some_bytes
from tests.harness.ceph import CephEndpoint

pytestmark = pytest.mark.contract


def store_of(
    ceph: CephEndpoint, container: str, digest: TempUrlDigest = "sha1", public_url: str = ""
) -> SwiftObjectStore:
    auth = replace(ceph_tempauth(ceph), public_url=public_url)
    return SwiftObjectStore(auth, container, clients=ClientAccess(TempUrlSigner(CEPH_KEY, digest)))


@pytest.fixture
async def store(ceph: CephEndpoint, container: str) -> AsyncIterator[SwiftObjectStore]:
    async with store_of(ceph, container) as store:
        yield store


async def test_the_storage_url_names_no_account(store: SwiftObjectStore, ceph: CephEndpoint) -> None:
    assert await store._http.storage_url() == ceph.storage_url
    assert urlsplit(ceph.storage_url).path == "/swift/v1"


async def test_info_is_found_below_the_entry_point(store: SwiftObjectStore) -> None:
    info = await store._info.current()
    assert info.tempurl_digests == frozenset({"sha1"})
    assert info.limits.max_segment_bytes == 5 * 1024**3


async def test_every_capability_works_with_sha1(store: SwiftObjectStore) -> None:
    async with HttpPlainClient() as plain:
        report = await examine_store(store, plain, thorough=True)
    assert {found.capability for found in report.examined if found.works} == set(CAPABILITIES), report.broken


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
async def test_without_sha1_nothing_is_presigned_and_the_rest_works(
    ceph: CephEndpoint, container: str, digest: TempUrlDigest
) -> None:
    async with store_of(ceph, container, digest) as store, HttpPlainClient() as plain:
        report = await examine_store(store, plain, thorough=True)
        upload = Scenario(store)
        await upload.sealed()
        span = SegmentSpan(upload.target.upload_id, 1, 3, 0, 9)
        key = upload.target.key
        assert (
            await store.presign_download(
                key, segment_count=3, seconds=9, filename="f", content_type="video/mp4", inline=False
            )
            is None
        )
        assert await store.presign_segment_download(key, span, seconds=9) is None
        assert await store.presign_segments(upload.target, [1], seconds=9) is None
    assert {found.capability for found in report.examined if not found.works} == set(CLIENT_CAPABILITIES)
    assert not report.broken


@pytest.mark.parametrize("suffix", ["/swift", "/swift/", "/swift/v1", "/swift/v1/"])
async def test_a_public_url_works_with_and_without_v1(ceph: CephEndpoint, container: str, suffix: str) -> None:
    public_url = ceph.url.replace("127.0.0.1", "localhost") + suffix
    async with store_of(ceph, container, public_url=public_url) as store, aiohttp.ClientSession() as client:
        await store.put_object("contents/a/thumbnail.jpg", b"jpeg", "image/jpeg")
        url = await store.presign_download(
            "contents/a/thumbnail.jpg",
            segment_count=1,
            seconds=60,
            filename="f",
            content_type="image/jpeg",
            inline=True,
        )
        assert url is not None
        assert url.startswith(f"{public_url.rstrip('/').removesuffix('/v1')}/v1/{container}/")
        async with client.get(URL(url, encoded=True)) as response:
            assert (response.status, await response.read()) == (200, b"jpeg")


async def test_a_manifest_over_other_bytes_is_removed_again(store: SwiftObjectStore) -> None:
    """Ceph seals it and responds 201 with the ETag that the manifest adds up to."""
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    await store.put_segment(upload.target, MemorySource(2, some_bytes(upload.sizes[1], seed=5)))
    with pytest.raises(StoreError) as refused:
        await store.seal(upload.target, segments)
    assert refused.value.code == "MANIFEST_REFUSED"
    assert refused.value.detail["segments"] == [2]
    assert upload.target.key not in await keys(store)
    await store.seal(upload.target, [segments[0], *await upload.put(2), segments[2]])
    assert await content(store, upload.target.key) == upload.data


@pytest.mark.parametrize("key", [None, "another/name"])
async def test_deleting_finds_the_segments_of_a_manifest_that_cannot_be_read(
    store: SwiftObjectStore, key: str | None
) -> None:
    upload = Scenario(store, key=key)
    await upload.sealed()
    assert len(await keys(store)) == 4
    await store.delete(upload.target.key)
    assert await keys(store) == []
