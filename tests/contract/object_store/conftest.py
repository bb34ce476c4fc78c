"""One store of each kind, over a real server: the suites run every test against all of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.object_store.s3 import S3Credentials, S3ObjectStore, S3Options
from pipeline.adapters.object_store.swift import KeystonePassword, SwiftObjectStore, TempAuth
from pipeline.adapters.plain_http import HttpPlainClient
from tests.contract.object_store.dialects import DIALECTS as DIALECTS_OVER_HTTP
from tests.contract.object_store.dialects import Dialect
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS, LONG_STALL_SECONDS, STALL_SECONDS, FaultyStore
from tests.contract.object_store.uploads import Store
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy
from tests.harness.session import session_directory
from tests.harness.shared_stack import SharedStack, shared_stack

DIALECTS = ("filesystem", "swift-tempauth", "s3", "s3-rgw", "swift-rgw")
"""`s3`: Swift's S3 API. `-rgw`: Ceph's object gateway. Keystone differs in the login only: see `test_tokens`."""


@pytest.fixture(scope="session")
def stack() -> Iterator[SharedStack]:
    """Swift and Keystone, with the caches of a production system, shared by all pytest workers."""
    with shared_stack(session_directory(), "keystone") as stack:
        yield stack


@pytest.fixture(scope="session")
def swift(stack: SharedStack) -> SwiftEndpoint:
    return stack.swift


@pytest.fixture(scope="session")
def keystone(stack: SharedStack) -> KeystoneEndpoint:
    assert stack.keystone is not None
    return stack.keystone


@pytest.fixture
def container() -> str:
    """A container name for one test, so that it does not see the objects of another."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tempauth(swift: SwiftEndpoint) -> TempAuth:
    return TempAuth(swift.auth_url, swift.user, swift.key)


@pytest.fixture
def keystone_password(keystone: KeystoneEndpoint) -> KeystonePassword:
    return KeystonePassword(
        auth_url=keystone.auth_url,
        user=keystone.username,
        password=keystone.password,
        project=keystone.project,
        user_domain=keystone.user_domain,
        project_domain=keystone.project_domain,
    )


@pytest.fixture(params=DIALECTS)
async def store(request: pytest.FixtureRequest, container: str, tmp_path: Path) -> AsyncIterator[Store]:
    """The store under test. Servers are started only for the stores that need them."""
    fixture: Callable[[str], object] = request.getfixturevalue
    match request.param:
        case "filesystem":
            async with FilesystemObjectStore(tmp_path / "store", fsync=False) as directory:
                yield directory
        case "swift-tempauth":
            auth = fixture("tempauth")
            assert isinstance(auth, TempAuth)
            async with SwiftObjectStore(auth, container) as swift_store:
                yield swift_store
        case "s3":
            endpoint = fixture("swift")
            assert isinstance(endpoint, SwiftEndpoint)
            async with S3ObjectStore(container, s3_credentials(endpoint), options=s3_options(endpoint)) as s3_store:
                yield s3_store
        case "swift-rgw":
            ceph = fixture("ceph")
            assert isinstance(ceph, CephEndpoint)
            async with SwiftObjectStore(ceph_tempauth(ceph), container) as swift_store:
                yield swift_store
        case "s3-rgw":
            ceph = fixture("ceph")
            assert isinstance(ceph, CephEndpoint)
            async with S3ObjectStore(container, ceph_credentials(ceph), options=ceph_options(ceph)) as s3_store:
                yield s3_store


def ceph_tempauth(ceph: CephEndpoint) -> TempAuth:
    return TempAuth(ceph.auth_url, ceph.swift_user, ceph.swift_key)


def ceph_credentials(ceph: CephEndpoint) -> S3Credentials:
    return S3Credentials(ceph.access_key, ceph.secret_key)


def ceph_options(ceph: CephEndpoint) -> S3Options:
    return S3Options(endpoint_url=ceph.url, region=ceph.region)


def s3_credentials(endpoint: SwiftEndpoint) -> S3Credentials:
    return S3Credentials(endpoint.s3_access_key, endpoint.s3_secret_key)


def s3_options(endpoint: SwiftEndpoint) -> S3Options:
    return S3Options(endpoint_url=endpoint.s3_endpoint, region=endpoint.s3_region)


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyStore]:
    async with FaultyStore() as server:
        yield server


@pytest.fixture(params=DIALECTS_OVER_HTTP, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """The protocol for talking to the faulty store."""
    chosen: Dialect = request.param
    return chosen


@pytest.fixture
async def client(faulty: FaultyStore, dialect: Dialect) -> AsyncIterator[Store]:
    """A client of the faulty store that waits for long."""
    async with dialect.client(faulty.url, DEADLINE_SECONDS) as client:
        yield client


@pytest.fixture
async def impatient(faulty: FaultyStore, dialect: Dialect) -> AsyncIterator[Store]:
    """A client of the faulty store that soon gives up."""
    async with dialect.client(faulty.url, STALL_SECONDS) as client:
        yield client


@pytest.fixture
async def steady(faulty: FaultyStore, dialect: Dialect) -> AsyncIterator[Store]:
    """A client of the faulty store that a few pauses do not disturb."""
    async with dialect.client(faulty.url, LONG_STALL_SECONDS) as client:
        yield client


@pytest.fixture
async def proxy(ceph: CephEndpoint) -> AsyncIterator[AlteringProxy]:
    async with AlteringProxy(ceph.url) as proxy:
        yield proxy


@pytest.fixture
async def through(ceph: CephEndpoint, proxy: AlteringProxy, container: str) -> AsyncIterator[S3ObjectStore]:
    """A store that everyone reaches through the proxy."""
    options = replace(ceph_options(ceph), endpoint_url=proxy.url)
    async with S3ObjectStore(container, ceph_credentials(ceph), options=options) as store:
        yield store


@pytest.fixture
async def plain() -> AsyncIterator[HttpPlainClient]:
    """A client with no rights but those of a URL."""
    async with HttpPlainClient() as client:
        yield client
