"""S3 only: verification, sessions, signatures."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from pipeline.adapters.object_store.s3 import S3Credentials, S3ObjectStore, S3Options
from pipeline.core.errors import StoreError, StoreUnavailable
from tests.contract.object_store.conftest import ceph_credentials, ceph_options, s3_credentials, s3_options
from tests.contract.object_store.uploads import FailingSource, Scenario, content, keys
from tests.harness.ceph import CephEndpoint

pytestmark = pytest.mark.contract


@pytest.fixture(params=["swift", "rgw"])
def server(request: pytest.FixtureRequest) -> SwiftEndpoint | CephEndpoint:
    """Swift's S3 API, and Ceph's object gateway."""
    found = request.getfixturevalue("swift" if request.param == "swift" else "ceph")
    assert isinstance(found, SwiftEndpoint | CephEndpoint)
    return found


@pytest.fixture
def credentials(server: SwiftEndpoint | CephEndpoint) -> S3Credentials:
    return s3_credentials(server) if isinstance(server, SwiftEndpoint) else ceph_credentials(server)


@pytest.fixture
def options(server: SwiftEndpoint | CephEndpoint) -> S3Options:
    return s3_options(server) if isinstance(server, SwiftEndpoint) else ceph_options(server)


@pytest.fixture
async def store(container: str, credentials: S3Credentials, options: S3Options) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(container, credentials, options=options) as store:
        yield store


async def test_segments_may_be_verified_by_a_digest_in_the_request(
    container: str, credentials: S3Credentials, options: S3Options
) -> None:
    async with S3ObjectStore(container, credentials, options=replace(options, verify="content-md5")) as store:
        for sizes in (None, (3000,), (0,)):
            upload = Scenario(store, sizes=sizes)
            stored = await upload.sealed()
            assert await content(store, upload.target.key) == upload.data
            assert (await store.seal(upload.target, stored.segments)).etag == stored.etag
        corrupt = Scenario(store)
        await corrupt.begin()
        with pytest.raises(Exception, match="no longer match the digest"):
            await store.put_segment(corrupt.target, FailingSource(1, corrupt.segment(1)))


async def test_checksums_are_accepted(container: str, credentials: S3Credentials, options: S3Options) -> None:
    async with S3ObjectStore(container, credentials, options=replace(options, checksums="when_supported")) as store:
        upload = Scenario(store)
        await upload.sealed()
        assert await content(store, upload.target.key) == upload.data


async def test_the_etag_of_the_object_counts_its_segments(store: S3ObjectStore) -> None:
    stored = await Scenario(store).sealed()
    assert stored.etag.endswith("-3")


async def test_abort_ends_every_session_of_the_key(store: S3ObjectStore) -> None:
    upload = Scenario(store)
    for _ in range(3):
        await upload.begin()
        await upload.put(3)
    other = Scenario(store, key=upload.target.key + "-other")
    await other.begin()
    assert len(await keys(store)) == 4
    await store.abort(upload.target)
    assert await keys(store) == [f"multipart:{other.target.key}:{other.target.session}"]
    await store.abort(other.target)


async def test_seal_without_session_and_object_is_refused(store: S3ObjectStore) -> None:
    upload = Scenario(store)
    await upload.begin()
    segments = await upload.put()
    await store.delete(f"multipart:{upload.target.key}:{upload.target.session}")
    with pytest.raises(StoreError) as refused:
        await store.seal(upload.target, segments)
    assert refused.value.code == "MANIFEST_REFUSED", refused.value
    assert refused.value.detail["segments"] == [1, 2, 3]


async def test_a_segment_of_a_lost_session_is_refused(store: S3ObjectStore) -> None:
    upload = Scenario(store)
    await upload.begin()
    await store.abort(upload.target)
    with pytest.raises(StoreError) as refused:
        await upload.put(3)
    assert refused.value.code == "STORE_SESSION_LOST"


async def test_a_wrong_secret_is_an_authentication_error(
    container: str, credentials: S3Credentials, options: S3Options
) -> None:
    wrong = replace(credentials, secret_key="wrong")
    assert "wrong" not in repr(wrong)
    async with S3ObjectStore(container, wrong, options=options) as store:
        plain = Scenario(store, sizes=(10,))
        for request in (store.check(), plain.put(1)):
            with pytest.raises(StoreError) as refused:
                await request
            assert refused.value.code == "STORE_AUTH_FAILED"


async def test_an_unavailable_store_may_be_retried(container: str, credentials: S3Credentials) -> None:
    options = S3Options(endpoint_url="http://127.0.0.1:9", connect_seconds=2)
    async with S3ObjectStore(container, credentials, options=options) as store:
        for request in (store.check(), Scenario(store, sizes=(10,)).put(1), content(store, "k"), keys(store)):
            with pytest.raises(StoreUnavailable):
                await request


async def test_requests_are_observed(container: str, credentials: S3Credentials, options: S3Options) -> None:
    seen: list[tuple[str, int | None]] = []
    async with S3ObjectStore(
        container, credentials, options=options, observer=lambda method, status, _: seen.append((method, status))
    ) as store:
        await Scenario(store, sizes=(10,)).sealed()
        with pytest.raises(StoreError):
            await store.head("nothing")
    assert ("PUT", 200) in seen
    assert ("HEAD", 404) in seen


async def test_ec2_credentials_of_keystone_are_accepted(keystone: KeystoneEndpoint) -> None:
    credentials = S3Credentials(keystone.ec2_access_key, keystone.ec2_secret_key)
    options = S3Options(endpoint_url=keystone.proxy_url)
    async with S3ObjectStore(f"test-{uuid.uuid4().hex[:12]}", credentials, options=options) as store:
        upload = Scenario(store, sizes=(1000,))
        await upload.sealed()
        assert await content(store, upload.target.key) == upload.data
        await store.abort(upload.target)
