"""The Swift store made from the settings."""

from __future__ import annotations

from pydantic import SecretStr

from pipeline.adapters.object_store.http.observe import RequestObserver
from pipeline.adapters.object_store.swift import (
    ClientAccess,
    Endpoint,
    KeystoneApplicationCredential,
    KeystonePassword,
    SwiftAuth,
    SwiftObjectStore,
    SwiftOptions,
    TempAuth,
    TempUrlSigner,
)
from pipeline.settings import Settings


def _swift_auth(
    settings: Settings, user: str, password: SecretStr, credential_id: str, credential_secret: SecretStr
) -> SwiftAuth:
    """The login for these credentials at the configured server."""
    if settings.swift_auth == "v1":
        secret = password.get_secret_value()
        return TempAuth(settings.swift_auth_url, user, secret, public_url=settings.swift_public_url)
    endpoint = Endpoint(settings.swift_region, settings.swift_interface, public_url=settings.swift_public_url)
    if credential_id:
        secret = credential_secret.get_secret_value()
        return KeystoneApplicationCredential(settings.swift_auth_url, credential_id, secret, endpoint)
    return KeystonePassword(
        auth_url=settings.swift_auth_url,
        user=user,
        password=password.get_secret_value(),
        project=settings.swift_project,
        user_domain=settings.swift_user_domain,
        project_domain=settings.swift_project_domain,
        endpoint=endpoint,
    )


def _own_auth(settings: Settings) -> SwiftAuth:
    return _swift_auth(
        settings,
        settings.swift_user,
        settings.swift_password,
        settings.swift_application_credential_id,
        settings.swift_application_credential_secret,
    )


def _delegated_auth(settings: Settings) -> SwiftAuth | None:
    """The login whose tokens clients get; None when it is not configured."""
    if not (settings.swift_lent_user or settings.swift_lent_application_credential_id):
        return None
    return _swift_auth(
        settings,
        settings.swift_lent_user,
        settings.swift_lent_password,
        settings.swift_lent_application_credential_id,
        settings.swift_lent_application_credential_secret,
    )


def swift_store(settings: Settings, observer: RequestObserver) -> SwiftObjectStore:
    """The store for these settings, which name a login. The caller opens it."""
    options = SwiftOptions(
        stall_seconds=settings.store_stall_seconds,
        response_seconds=settings.store_stall_seconds,
        ca_file=settings.store_ca_file,
    )
    key = settings.swift_tempurl_key.get_secret_value()
    signer = TempUrlSigner(key, settings.swift_tempurl_digest) if key else None
    return SwiftObjectStore(
        _own_auth(settings),
        settings.swift_container,
        options=options,
        observer=observer,
        clients=ClientAccess(signer, _delegated_auth(settings)),
    )
