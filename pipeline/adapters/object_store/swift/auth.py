"""Tokens: fetched once per process, shared by all requests in flight, renewed before they expire.

Guarantee: at most one request for a token is in flight, however many callers find theirs missing, expired or refused. A
cancelled caller does not cancel it for the others. Why it matters: each token costs Keystone about 0.4 s of bcrypt;
with one token per segment 1 GiB took 70 s instead of 5 to 9 s.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.single_flight import SingleFlight
from pipeline.core.errors import StoreError


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token and the account that it opens.

    `storage_url` is the account's URL for our own requests, `public_url` the one for clients outside ("": the same).
    `lifetime_seconds` starts when the token was requested; None: the server did not say.
    """

    value: str
    storage_url: str
    lifetime_seconds: float | None = None
    public_url: str = ""

    @property
    def client_url(self) -> str:
        """The account's URL as clients reach it."""
        return self.public_url or self.storage_url

    def __repr__(self) -> str:  # a token is a password
        return f"Token(storage_url={self.storage_url!r}, lifetime_seconds={self.lifetime_seconds!r})"


def usable(token: Token) -> Token:
    """The token, if requests can be made with it. Raises StoreError STORE_AUTH_FAILED for what is no token or no URL:
    something else than a login responded."""
    if not token.value or not token.value.isascii() or not token.value.isprintable():
        raise StoreError("STORE_AUTH_FAILED", reason="the response to the login has no usable token")
    for url in (token.storage_url, token.client_url):
        if not _is_base_url(url):
            raise StoreError("STORE_AUTH_FAILED", reason=f"the login returned {url[:200]!a}, which is no storage URL")
    return token


def _is_base_url(url: str) -> bool:
    """Whether requests can go below this URL."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return False


class SwiftAuth(Protocol):
    """One way to log in."""

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        """Request a new token. Raises StoreError STORE_AUTH_FAILED when the credentials are refused,
        StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: Token
    renew_at: float
    expires_at: float


class TokenSource:
    """The one token of a process."""

    def __init__(
        self,
        auth: SwiftAuth,
        session: aiohttp.ClientSession,
        options: SwiftOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._auth = auth
        self._session = session
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self._held: _Held | None = None
        self._flight = SingleFlight(self._fetch, "swift-token")
        self._failure: StoreError | None = None
        self._hold_off_until = 0.0

    async def token(self) -> Token:
        """The current token. Near its end a new one is requested in the background while the old one is still used.

        Raises StoreError STORE_AUTH_FAILED, StoreUnavailable.
        """
        now = self._clock()
        if self._held is None or now >= self._held.expires_at:
            self._raise_recent_refusal(now)
            return await self._flight.join()
        if now >= self._held.renew_at and now >= self._hold_off_until:
            self._flight.start()
        return self._held.token

    async def renew(self, refused: Token) -> Token:
        """The token to use after a store responded 401 to `refused`. Concurrent callers cause one request. Raises as
        `token`."""
        if self._held is not None and self._held.token is refused:
            self._held = None
        return await self.token()

    async def aclose(self) -> None:
        """Cancel a request in flight. Idempotent."""
        await self._flight.aclose()

    async def _fetch(self) -> Token:
        requested_at = self._clock()
        try:
            token = await self._auth.authenticate(self._session, self._options.auth_seconds)
        except StoreError as error:
            self._failure = error
            self._hold_off_until = self._clock() + self._options.refusal_seconds
            raise
        self._failure = None
        self._held = self._hold(token, requested_at)
        return token

    def _hold(self, token: Token, requested_at: float) -> _Held:
        if token.lifetime_seconds is None:
            return _Held(token, float("inf"), float("inf"))
        fraction = self._options.renew_at_fraction - self._options.renew_jitter * self._jitter()
        return _Held(token, requested_at + token.lifetime_seconds * fraction, requested_at + token.lifetime_seconds)

    def _raise_recent_refusal(self, now: float) -> None:
        """Refused credentials are not tried again at once; a Keystone that was unavailable is."""
        if self._failure is not None and self._failure.code == "STORE_AUTH_FAILED" and now < self._hold_off_until:
            raise StoreError(self._failure.code, **self._failure.detail)
