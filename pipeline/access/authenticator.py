"""Authentication: from the key or token of a request to the caller, and the tokens that callers receive.

Guarantee: owner and scopes of a caller come from a valid key or token only. Tokens that a key has requested end when
the key is revoked. While authentication is off (SLUICE_AUTH=none), every caller is the owner `default` with every
scope.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from pipeline.access.key_ring import KEY_CREDENTIAL, KEY_PREFIX, KeyRing
from pipeline.core.access import DEFAULT_OWNER, Caller, MediaLimits, Permit, Scope, TokenKind
from pipeline.core.errors import AccessError
from pipeline.ports.access import IssuedTokens, SignedTokens

EVERYBODY: Final = Caller(DEFAULT_OWNER, frozenset(Scope), "none")
"""The caller of every request while authentication is off."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and until when it is valid, in seconds since 1970."""

    token: str
    expires_at: int


class Authenticator:
    """`issued`: None where no identity provider is configured."""

    def __init__(
        self, keys: KeyRing, signed: SignedTokens, issued: IssuedTokens | None, *, required: bool = True
    ) -> None:
        self._keys = keys
        self._signed = signed
        self._issued = issued
        self.required = required

    async def bearer(self, text: str) -> Caller:
        """The caller that sends this key or token in a header. Raises AccessError CREDENTIAL_INVALID,
        CREDENTIAL_EXPIRED; DependencyUnavailable DATABASE_UNAVAILABLE, AUTH_UNAVAILABLE."""
        if text.startswith(KEY_PREFIX):
            return await self._keys.caller(text)
        kind = self._signed.kind_of(text)
        if kind is not None:
            return await self._read(kind, text)
        if self._issued is None:
            raise AccessError("CREDENTIAL_INVALID", reason="it is neither a key nor a token of this service")
        return await self._issued.caller(text)

    async def in_url(self, text: str, kinds: Collection[TokenKind]) -> Caller:
        """The caller that sends this token, which must be of one of these kinds, in a URL. Raises as `bearer`."""
        kind = self._signed.kind_of(text)
        if kind is None or kind not in kinds:
            raise AccessError("CREDENTIAL_INVALID", reason="it may not be sent in this URL")
        return await self._read(kind, text)

    async def holds(self, caller: Caller) -> bool:
        """Whether a caller of a request that has lasted for a while could still make it: its key was not revoked, and
        its key or token has not expired. A ticket is checked only when the stream is opened. Raises
        DependencyUnavailable."""
        if caller.token is not TokenKind.TICKET and caller.expires_at is not None and caller.expires_at < time.time():
            return False
        return await self.is_trusted(caller)

    async def is_trusted(self, caller: Caller) -> bool:
        """Whether the key of a caller, or the one from which its token comes, was not revoked. Raises
        DependencyUnavailable."""
        if not caller.root.startswith(KEY_CREDENTIAL):
            return True
        return await self._keys.is_valid(caller.root.removeprefix(KEY_CREDENTIAL))

    def issue(self, kind: TokenKind, caller: Caller, owner: str, upload_id: str, seconds: float) -> Issued:
        """An upload token, a ticket or a link for `caller`: for one upload of `owner`, and its content."""
        return self._issue(kind, {"sub": owner, "by": caller.root, "upload": upload_id}, seconds)

    def issue_permit(
        self, caller: Caller, seconds: float, *, count: int, max_size_bytes: int | None, media: MediaLimits
    ) -> tuple[str, Issued]:
        """The id of a new permit, and its token."""
        permit = Permit(uuid4().hex, int(time.time() + seconds), count, max_size_bytes, media)
        return permit.permit_id, self._issue(
            TokenKind.PERMIT, {"sub": caller.owner, "by": caller.root, **permit.to_data()}, seconds
        )

    def _issue(self, kind: TokenKind, claims: Mapping[str, Any], seconds: float) -> Issued:
        return Issued(self._signed.issue(kind, claims, seconds), int(time.time() + seconds))

    async def _read(self, kind: TokenKind, text: str) -> Caller:
        claims = self._signed.read(kind, text)
        try:
            permit = Permit.from_data(claims) if kind is TokenKind.PERMIT else None
            caller = Caller(
                claims["sub"],
                frozenset(),
                f"{kind}:{permit.permit_id}" if permit else str(kind),
                kind,
                upload_id=None if permit else claims["upload"],
                permit=permit,
                issued_by=claims["by"],
                expires_at=claims["exp"],
            )
        except (KeyError, TypeError):  # of another release: a limit that is not known must not be ignored
            raise AccessError("CREDENTIAL_INVALID", reason="a gateway of another release has issued it") from None
        if not await self.is_trusted(caller):
            raise AccessError("CREDENTIAL_INVALID", reason="the key that requested it was revoked")
        return caller
