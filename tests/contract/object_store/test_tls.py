"""Stores behind HTTPS: a certificate or host name that is not verified is refused, a private CA is trusted by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.cache_purge import HttpCachePurge
from pipeline.adapters.object_store.s3 import S3ObjectStore, S3Options
from pipeline.adapters.object_store.swift import SwiftObjectStore, SwiftOptions, TempAuth
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.core.errors import DependencyUnavailable, StoreError, StoreUnavailable
from tests.contract.object_store.conftest import s3_credentials
from tests.contract.object_store.uploads import Scenario, content
from tests.harness.certificates import TestCa
from tests.harness.tls_relay import tls_relay

pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class TlsStores:
    """The session's Swift behind TLS, with a certificate for `localhost`."""

    endpoint: SwiftEndpoint
    port: int
    ca: TestCa

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}"

    def swift(self, container: str, ca_file: Path | None, host: str = "localhost") -> SwiftObjectStore:
        path = urlsplit(self.endpoint.storage_url).path
        auth = TempAuth(
            f"{self.url(host)}/auth/v1.0", self.endpoint.user, self.endpoint.key, storage_url=self.url(host) + path
        )
        return SwiftObjectStore(auth, container, options=SwiftOptions(ca_file=ca_file))

    def s3(self, container: str, ca_file: Path | None, host: str = "localhost") -> S3ObjectStore:
        options = S3Options(endpoint_url=self.url(host), region=self.endpoint.s3_region, ca_file=ca_file)
        return S3ObjectStore(container, s3_credentials(self.endpoint), options=options)


@pytest.fixture
async def stores(swift: SwiftEndpoint, tmp_path: Path) -> AsyncIterator[TlsStores]:
    ca = TestCa(tmp_path / "ca")
    async with tls_relay(urlsplit(swift.proxy_url).port or 0, *ca.issue("store", "localhost")) as port:
        yield TlsStores(swift, port, ca)


Opened = Callable[[TlsStores, str, Path | None, str], SwiftObjectStore | S3ObjectStore]
KINDS: list[Opened] = [TlsStores.swift, TlsStores.s3]
kinds = pytest.mark.parametrize("opened", KINDS, ids=["swift", "s3"])


@kinds
async def test_a_private_ca_is_trusted(stores: TlsStores, container: str, opened: Opened) -> None:
    async with opened(stores, container, stores.ca.ca_file, "localhost") as store:
        await store.check()
        upload = Scenario(store, sizes=None if opened is TlsStores.swift else (50_000,))
        await upload.sealed()
        assert await content(store, upload.target.key) == upload.data


@kinds
@pytest.mark.parametrize("what", ["no CA", "another CA", "another host"])
async def test_what_is_not_proven_is_refused(
    stores: TlsStores, container: str, opened: Opened, tmp_path: Path, what: str
) -> None:
    ca_file = {"no CA": None, "another CA": TestCa(tmp_path / "other").ca_file}.get(what, stores.ca.ca_file)
    async with opened(stores, container, ca_file, "127.0.0.1" if what == "another host" else "localhost") as store:
        for work in (store.check(), store.head("a"), store.put_object("a", b"bytes", "text/plain")):
            with pytest.raises(StoreError) as refused:
                await work
            assert stores.endpoint.key not in str(refused.value.detail)


async def test_an_expired_certificate_is_refused(stores: TlsStores, container: str, swift: SwiftEndpoint) -> None:
    port = urlsplit(swift.proxy_url).port or 0
    async with AsyncExitStack() as stack:
        late = await stack.enter_async_context(tls_relay(port, *stores.ca.issue("late", "localhost", days=-1)))
        store = TlsStores(swift, late, stores.ca).swift(container, stores.ca.ca_file)
        await stack.enter_async_context(store)
        with pytest.raises(StoreUnavailable):
            await store.check()


@pytest.mark.parametrize("trusted", [True, False])
async def test_presigned_urls_and_the_cache_are_verified_too(stores: TlsStores, trusted: bool) -> None:
    ca_file = stores.ca.ca_file if trusted else None
    async with (
        HttpPlainClient(ca_file) as client,
        HttpCachePurge(f"{stores.url()}/healthcheck?{{key}}", "GET", ca_file=ca_file) as cache,
    ):
        if trusted:
            response = await client.request("GET", f"{stores.url()}/healthcheck", headers={}, max_bytes=100)
            assert response.status == 200
            await cache.purge("a")
            return
        with pytest.raises(StoreUnavailable):
            await client.request("GET", f"{stores.url()}/healthcheck", headers={}, max_bytes=100)
        with pytest.raises(DependencyUnavailable):
            await cache.purge("a")
