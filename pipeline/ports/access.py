"""The ports of authentication: API keys, tokens that Sluice signs, and tokens of an identity provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pipeline.core.access import Caller, Scope, TokenKind


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. `digest`: the SHA-256 of its secret, which has 256 random bits, so a slow hash adds nothing.
    `changed_at`: when it was created or revoked, by PostgreSQL's clock."""

    key_id: str
    owner: str
    scopes: frozenset[Scope]
    note: str
    digest: bytes
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeyChanges(Protocol):
    """What a gateway needs of the API keys. Errors: DependencyUnavailable."""

    async def changed_since(self, moment: datetime | None) -> Sequence[ApiKey]:
        """Keys that were created or revoked at `moment` or later; None: all."""


class ApiKeyRepository(ApiKeyChanges, Protocol):
    """API keys in PostgreSQL. Errors: DependencyUnavailable."""

    async def add(
        self, key_id: str, owner: str, scopes: frozenset[Scope], note: str, digest: bytes, expires_at: datetime | None
    ) -> ApiKey:
        """Keep a new key."""

    async def revoke(self, key_id: str) -> ApiKey | None:
        """Revoke a key; the key, or None if there is none. Idempotent: the first time counts."""

    async def all(self, owner: str | None = None) -> Sequence[ApiKey]:
        """The keys of an owner, or all; oldest first."""


class SignedTokens(Protocol):
    """Tokens that every gateway can verify with the secrets of the settings alone."""

    def issue(self, kind: TokenKind, claims: Mapping[str, Any], seconds: float) -> str:
        """A token with these claims that expires after `seconds`."""

    def kind_of(self, token: str) -> TokenKind | None:
        """The kind that the token claims to be, without verification. None: Sluice has not issued it."""

    def read(self, kind: TokenKind, token: str) -> Mapping[str, Any]:
        """The claims of a valid token, with `exp` in seconds since 1970. Raises AccessError CREDENTIAL_INVALID,
        CREDENTIAL_EXPIRED."""


class IssuedTokens(Protocol):
    """Tokens of an identity provider."""

    async def caller(self, token: str) -> Caller:
        """The caller that a valid token names. Raises AccessError CREDENTIAL_INVALID, CREDENTIAL_EXPIRED;
        DependencyUnavailable AUTH_UNAVAILABLE while the provider's keys cannot be fetched."""
