"""Object stores, made from the settings: the one that new uploads go to, and every other whose settings are there.

Guarantee: an upload or content that was begun in one store is finished, read and deleted in that store, whatever
`SLUICE_STORE` says by then, as long as its settings are kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from pydantic import SecretStr

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.object_store.s3 import S3Credentials, S3ObjectStore, S3Options
from pipeline.adapters.object_store.swift import (
    Endpoint,
    KeystoneApplicationCredential,
    KeystonePassword,
    SwiftAuth,
    SwiftObjectStore,
    SwiftOptions,
    TempAuth,
    TempUrlSigner,
)
from pipeline.core.errors import StoreError
from pipeline.ports import Store
from pipeline.settings import Settings
from pipeline.telemetry import STORE_REQUEST_SECONDS


def _observe(method: str, status: int | None, seconds: float) -> None:
    STORE_REQUEST_SECONDS.labels(method, status or "none").observe(seconds)


def _swift_auth(
    settings: Settings, user: str, password: SecretStr, credential_id: str, credential_secret: SecretStr
) -> SwiftAuth:
    """One way to log in, where the settings say."""
    if settings.swift_auth == "v1":
        secret = password.get_secret_value()
        return TempAuth(settings.swift_auth_url, user, secret, public_url=settings.swift_public_url)
    endpoint = Endpoint(settings.swift_region, settings.swift_interface, public_url=settings.swift_public_url)
    if credential_id:
        secret = credential_secret.get_secret_value()
        return KeystoneApplicationCredential(settings.swift_auth_url, credential_id, secret, endpoint)
    return KeystonePassword(
        settings.swift_auth_url,
        user,
        password.get_secret_value(),
        settings.swift_project,
        settings.swift_user_domain,
        settings.swift_project_domain,
        endpoint,
    )


def _own(settings: Settings) -> SwiftAuth:
    return _swift_auth(
        settings,
        settings.swift_user,
        settings.swift_password,
        settings.swift_application_credential_id,
        settings.swift_application_credential_secret,
    )


def _lent(settings: Settings) -> SwiftAuth | None:
    """Whose tokens clients get; None: nobody's."""
    if not (settings.swift_lent_user or settings.swift_lent_application_credential_id):
        return None
    return _swift_auth(
        settings,
        settings.swift_lent_user,
        settings.swift_lent_password,
        settings.swift_lent_application_credential_id,
        settings.swift_lent_application_credential_secret,
    )


def _swift(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if not (settings.swift_user or settings.swift_application_credential_id):
        return None
    options = SwiftOptions(stall_seconds=settings.store_stall_seconds, answer_seconds=settings.store_stall_seconds)
    key = settings.swift_tempurl_key.get_secret_value()
    signer = TempUrlSigner(key, settings.swift_tempurl_digest) if key else None
    return SwiftObjectStore(
        _own(settings),
        settings.swift_container,
        options=options,
        observer=_observe,
        signer=signer,
        lent=_lent(settings),
    )


def _s3(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if not settings.s3_bucket:
        return None
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
        answer_seconds=settings.store_stall_seconds,
    )
    return S3ObjectStore(settings.s3_bucket, credentials, options=options, observer=_observe)


def _filesystem(settings: Settings) -> AbstractAsyncContextManager[Store] | None:
    if settings.filesystem_dir is None:
        return None
    return FilesystemObjectStore(settings.filesystem_dir)


_MAKERS: Mapping[str, tuple[Callable[[Settings], AbstractAsyncContextManager[Store] | None], str]] = {
    "swift": (_swift, "SLUICE_SWIFT_USER or SLUICE_SWIFT_APPLICATION_CREDENTIAL_ID"),
    "s3": (_s3, "SLUICE_S3_BUCKET"),
    "filesystem": (_filesystem, "SLUICE_FILESYSTEM_DIR"),
}


def _missing(name: str) -> StoreError:
    setting = _MAKERS[name][1] if name in _MAKERS else "no setting"
    return StoreError("STORE_REJECTED", reason=f"store '{name}' is not set up here ({setting} says where it is)")


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
    """Every store whose settings are there. Raises StoreError when the one that new uploads go to is not among them."""
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
    """The store that new uploads go to."""
    async with open_stores(settings) as stores:
        yield stores.named(settings.store)
