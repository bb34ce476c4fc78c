"""Object stores built from the settings: the one for new uploads, and every other one that is configured.

Guarantee: an upload or content that was begun in one store is finished, read and deleted in that store, whatever
`SLUICE_STORE` says later, as long as the store's settings are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from pipeline.core.errors import StoreError
from pipeline.ports import Store
from pipeline.settings import Settings
from pipeline.telemetry import STORE_REQUEST_SECONDS
from pipeline.tracing import store_request


def _observe(method: str, status: int | None, seconds: float) -> None:
    STORE_REQUEST_SECONDS.labels(method, status or "none").observe(seconds)
    store_request(method, status, seconds)


def _swift(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if not (settings.swift_user or settings.swift_application_credential_id):
        return None
    from pipeline.bootstrap.swift import swift_store

    return swift_store(settings, _observe)


def _s3(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if not settings.s3_bucket:
        return None
    from pipeline.adapters.object_store.s3 import S3Credentials, S3ObjectStore, S3Options

    credentials = None
    if settings.s3_access_key:
        credentials = S3Credentials(settings.s3_access_key, settings.s3_secret_key.get_secret_value())
    options = S3Options(
        endpoint_url=settings.s3_endpoint_url,
        public_endpoint_url=settings.s3_public_url,
        region=settings.s3_region,
        addressing=settings.s3_addressing,
        checksums=settings.s3_checksums,
        verify=settings.s3_verify,
        pool_connections=2 * settings.store_concurrency + settings.download_concurrency,
        stall_seconds=settings.store_stall_seconds,
        response_seconds=settings.store_stall_seconds,
        ca_file=settings.store_ca_file,
    )
    return S3ObjectStore(settings.s3_bucket, credentials, options=options, observer=_observe)


def _filesystem(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if settings.filesystem_dir is None:
        return None
    from pipeline.adapters.object_store.filesystem import FilesystemObjectStore

    return FilesystemObjectStore(settings.filesystem_dir)


_MAKERS: Mapping[str, tuple[Callable[[Settings], AbstractAsyncContextManager[Store] | None], str]] = {
    "swift": (_swift, "SLUICE_SWIFT_USER or SLUICE_SWIFT_APPLICATION_CREDENTIAL_ID"),
    "s3": (_s3, "SLUICE_S3_BUCKET"),
    "filesystem": (_filesystem, "SLUICE_FILESYSTEM_DIR"),
}


def _missing(name: str) -> StoreError:
    setting = f"set {_MAKERS[name][1]}" if name in _MAKERS else "no store has this name"
    return StoreError("STORE_REJECTED", reason=f"the store '{name}' is not configured: {setting}")


class OpenStores:
    """Implements `ports.Stores`."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = stores

    def every(self) -> list[Store]:
        return list(self._stores.values())

    def named(self, name: str) -> Store:
        try:
            return self._stores[name]
        except KeyError:
            raise _missing(name) from None


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[OpenStores]:
    """Every configured store. Raises StoreError STORE_REJECTED when the one for new uploads is not among them."""
    async with AsyncExitStack() as stack:
        opened: dict[str, Store] = {}
        for name, (make, _) in _MAKERS.items():
            store = make(settings)
            if store is not None:
                opened[name] = await stack.enter_async_context(store)
        if settings.store not in opened:
            raise _missing(settings.store)
        yield OpenStores(opened)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The store for new uploads. Raises as `open_stores`."""
    async with open_stores(settings) as stores:
        yield stores.named(settings.store)
