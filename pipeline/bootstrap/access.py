"""Builds authentication from the settings."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.access.authenticator import Authenticator
from pipeline.access.key_ring import KeyRing
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.pool import LazyPool
from pipeline.ports import PlainClient
from pipeline.ports.access import ApiKeyRepository
from pipeline.ports.contents import ReceiptSigner
from pipeline.settings import Settings

if TYPE_CHECKING:  # imported only where an identity provider is configured
    from pipeline.adapters.tokens.issued import JwtIssuedTokens


class AccessSettingsError(Exception):
    """The settings of authentication do not fit together. The message says which, and what to set."""


def check_access(settings: Settings) -> None:
    """Raises AccessSettingsError where a gateway must not start."""
    if settings.auth == "none":
        if not is_loopback(settings.host):
            raise AccessSettingsError(
                f"SLUICE_AUTH=none serves everybody, so SLUICE_HOST must be a loopback address, not {settings.host}"
            )
        return
    if not settings.signing_secret:
        raise AccessSettingsError(
            "SLUICE_SIGNING_SECRET is not set. Set it to the output of `openssl rand -hex 32`, the same for every "
            "gateway; for a try on this machine, SLUICE_AUTH=none serves without authentication"
        )
    named = [name for name, value in _providers(settings).items() if value]
    if named and not (settings.jwt_issuer and settings.jwt_audience):
        raise AccessSettingsError(f"{named[0]} needs SLUICE_JWT_ISSUER and SLUICE_JWT_AUDIENCE")
    if settings.jwt_issuer and not named:
        raise AccessSettingsError(f"SLUICE_JWT_ISSUER needs one of {', '.join(_providers(settings))}")


@asynccontextmanager
async def api_keys(settings: Settings) -> AsyncIterator[ApiKeyRepository]:
    """The keys in the database, for commands."""
    pool = LazyPool(settings.database_url.get_secret_value(), 1, migrates=settings.database_migrate)
    try:
        yield PostgresApiKeys(pool)
    finally:
        pool.terminate()


def authenticator(settings: Settings, pool: LazyPool, client: PlainClient) -> tuple[Authenticator, KeyRing]:
    """The ring is closed by the caller. Raises AccessSettingsError."""
    check_access(settings)
    issued = _issued(settings, client)
    from pipeline.adapters.tokens.signed import JwtSignedTokens  # after those of a provider, to share one library

    ring = KeyRing(PostgresApiKeys(pool))
    # Without authentication nobody verifies a token, so a secret of this process suffices.
    signing = [item.get_secret_value() for item in settings.signing_secret] or [secrets.token_hex(32)]
    return Authenticator(ring, JwtSignedTokens(signing), issued, required=settings.auth == "required"), ring


def receipt_signer(settings: Settings) -> ReceiptSigner | None:
    """What signs receipts; None where no key is configured. The library is imported only where one is."""
    if not settings.receipt_keys:
        return None
    from pipeline.adapters.tokens.receipts import Ed25519ReceiptSigner

    return Ed25519ReceiptSigner([item.get_secret_value() for item in settings.receipt_keys])


def is_loopback(host: str) -> bool:
    """Whether an address that a server listens on can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _providers(settings: Settings) -> dict[str, object]:
    return {
        "SLUICE_JWT_JWKS_URL": settings.jwt_jwks_url,
        "SLUICE_JWT_PUBLIC_KEYS": settings.jwt_public_keys,
        "SLUICE_JWT_SECRET": settings.jwt_secret.get_secret_value(),
    }


def _issued(settings: Settings, client: PlainClient) -> JwtIssuedTokens | None:
    if not settings.jwt_issuer:
        return None
    from pipeline.adapters.tokens.issued import IssuerRules, JwtIssuedTokens
    from pipeline.adapters.tokens.jwks import Jwks
    from pipeline.adapters.tokens.verifying_keys import from_pem

    try:
        keys = [from_pem(text) for text in settings.jwt_public_keys]
    except ValueError as error:
        raise AccessSettingsError(f"A key of SLUICE_JWT_PUBLIC_KEYS cannot be used: {error}") from None
    return JwtIssuedTokens(
        IssuerRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_owner_claim, settings.jwt_scope_claim),
        secret=settings.jwt_secret.get_secret_value() or None,
        keys=keys,
        jwks=Jwks(client, settings.jwt_jwks_url) if settings.jwt_jwks_url else None,
    )
