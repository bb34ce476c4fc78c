"""Tokens that Sluice signs itself: compact JWTs with HMAC-SHA-256. Implements `ports.access.SignedTokens`.

Guarantee: a token of one kind is never accepted as another: each kind has a key of its own, derived from the secret.
The first secret signs; the others are accepted, so that a secret can be replaced while tokens signed with the old one
are in use.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.core.access import TokenKind
from pipeline.core.errors import AccessError
from pipeline.imports import without

with without("cryptography.hazmat", private="jwt"):  # for public keys, which only identity providers use
    import jwt

_ALGORITHM: Final = "HS256"
_KINDS: Final = frozenset(TokenKind)
# The longest permit has 7,000, and aiohttp reads no longer header.
_MAX_CHARACTERS: Final = 8000
# Clocks of gateways differ a little.
_LEEWAY_SECONDS: Final = 5


class JwtSignedTokens:
    """`secrets`: at least one; 32 bytes or more each."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = {kind: [_derived(secret, kind) for secret in secrets] for kind in TokenKind}

    def issue(self, kind: TokenKind, claims: Mapping[str, Any], seconds: float) -> str:
        key = self._keys[kind][0]
        return jwt.encode(
            {**claims, "exp": int(time.time() + seconds)},
            key,
            _ALGORITHM,
            headers={"typ": str(kind), "kid": _name(key)},
        )

    def kind_of(self, token: str) -> TokenKind | None:
        if len(token) > _MAX_CHARACTERS or not token.isascii():
            return None
        try:
            kind = jwt.get_unverified_header(token).get("typ")
        except jwt.InvalidTokenError:
            return None
        return TokenKind(kind) if isinstance(kind, str) and kind in _KINDS else None

    def read(self, kind: TokenKind, token: str) -> Mapping[str, Any]:
        if self.kind_of(token) is not kind:
            raise AccessError("CREDENTIAL_INVALID", reason=f"it is not a {kind} token")
        name = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in self._keys[kind] if _name(key) == name), None)
        if key is None:
            raise AccessError("CREDENTIAL_INVALID", reason="its secret is not known here")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token, key, [_ALGORITHM], options={"require": ["exp"]}, leeway=_LEEWAY_SECONDS
            )
        except jwt.ExpiredSignatureError:
            raise AccessError("CREDENTIAL_EXPIRED") from None
        except jwt.InvalidTokenError:
            raise AccessError("CREDENTIAL_INVALID", reason="its signature does not match") from None
        return claims


def _derived(secret: str, kind: TokenKind) -> bytes:
    return hmac.digest(secret.encode(), f"sluice {kind}".encode(), "sha256")


def _name(key: bytes) -> str:
    """An identifier of a key that reveals nothing about it."""
    return hashlib.sha256(key).hexdigest()[:12]
