"""Tokens of an identity provider: JWTs with HS256, RS256, ES256 or EdDSA. Implements `ports.access.IssuedTokens`.

Guarantee: the type of the key decides which algorithm a token may name, so a public key is never used as the secret of
an HMAC (RFC 8725, section 3.1). A token must have an expiry, the issuer and the audience of the settings, and a claim
that can be an owner's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from re import fullmatch
from typing import Any, Final

import jwt

from pipeline.adapters.tokens.jwks import Jwks
from pipeline.adapters.tokens.verifying_keys import VerifyingKey
from pipeline.core.access import Caller, Scope
from pipeline.core.errors import AccessError
from schemas.owners import OWNER_PATTERN

_MAX_CHARACTERS: Final = 8192
_LEEWAY_SECONDS: Final = 10
_HMAC: Final = "HS256"
_SCOPES: Final = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class IssuerRules:
    """What a token must say. `owner_claim` and `scope_claim` name the claims that hold the owner and the scopes."""

    issuer: str
    audience: str
    owner_claim: str = "sub"
    scope_claim: str = "scope"


class JwtIssuedTokens:
    """`secret`: of HS256, or None. `keys`: those of the settings. `jwks`: those that the provider publishes."""

    def __init__(
        self,
        rules: IssuerRules,
        *,
        secret: str | None = None,
        keys: Sequence[VerifyingKey] = (),
        jwks: Jwks | None = None,
    ) -> None:
        self._rules = rules
        self._secret = secret
        self._keys = keys
        self._jwks = jwks

    async def caller(self, token: str) -> Caller:
        rules = self._rules
        claims = await self._claims(token)
        owner = claims.get(rules.owner_claim)
        if not isinstance(owner, str) or not fullmatch(OWNER_PATTERN, owner):
            raise AccessError("CREDENTIAL_INVALID", reason=f"its claim {rules.owner_claim} cannot be an owner's name")
        until = int(claims["exp"])  # PyJWT accepts the digits of a number, too
        return Caller(owner, _scopes(claims.get(rules.scope_claim)), f"jwt:{rules.issuer}", expires_at=until)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_CHARACTERS:
            raise AccessError("CREDENTIAL_INVALID", reason=f"it is longer than {_MAX_CHARACTERS} characters")
        if not token.isascii():
            raise AccessError("CREDENTIAL_INVALID", reason="it cannot be read")
        reason = "no key that is known here has signed it"
        try:
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
            async for key in self._candidates(algorithm, header.get("kid")):
                with suppress(jwt.InvalidSignatureError):
                    return self._verified(token, key, algorithm)
                reason = "its signature does not match"
        except jwt.ExpiredSignatureError:
            raise AccessError("CREDENTIAL_EXPIRED") from None
        except jwt.InvalidTokenError as error:
            raise AccessError("CREDENTIAL_INVALID", reason=_reason(error)) from None
        raise AccessError("CREDENTIAL_INVALID", reason=reason)

    def _verified(self, token: str, key: Any, algorithm: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            [algorithm],
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    async def _candidates(self, algorithm: str, name: object) -> AsyncIterator[Any]:
        """The keys that may have signed a token, those of the settings first: while one replaces another, both are
        there. Raises DependencyUnavailable AUTH_UNAVAILABLE."""
        if algorithm == _HMAC:
            if self._secret is not None:
                yield self._secret
            return
        for item in self._keys:
            if item.algorithm == algorithm:
                yield item.key
        if self._jwks is not None:
            found = await self._jwks.find(name if isinstance(name, str) else None, algorithm)
            if found is not None:
                yield found.key


def _scopes(claim: object) -> frozenset[Scope]:
    """A list, or names separated by spaces (RFC 8693 section 4.2). Names of other programs are ignored."""
    names = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(Scope(name) for name in names if isinstance(name, str) and name in _SCOPES)


def _reason(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.InvalidIssuerError():
            return "another issuer has issued it"
        case jwt.InvalidAudienceError():
            return "it is for another audience"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.MissingRequiredClaimError():
            return f"it has no claim {error.claim}"
    return "it cannot be read"
