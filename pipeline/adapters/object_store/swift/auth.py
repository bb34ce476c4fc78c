"""Tokens: fetched once per process, shared by every request in flight, renewed before they die.

Guarantee: at most one request for a token is under way, however many callers find theirs missing, old or refused. A
caller that is cancelled does not take the others' token with it. Why it matters: each token costs Keystone about 0.4
s of bcrypt; a token per segment made 1 GiB take 70 s in place of 5 to 9 s.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token and the account it opens, by the URL that we use. `lifetime_seconds` counts from the moment it was asked
    for; None: the server did not say. `public_url` is the account for those outside; "": the same."""

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


class SwiftAuth(Protocol):
    """One way to log in."""

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        """Ask for a new token. Raises StoreError STORE_AUTH_FAILED (the credentials are refused), StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: Token
    renew_at: float
    dies_at: float


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
        self._flight: asyncio.Task[Token] | None = None
        self._failure: StoreError | None = None
        self._hold_off_until = 0.0

    async def token(self) -> Token:
        """The current token. Near its end a new one is asked for in the background, and the old one is still given out.

        Raises StoreError STORE_AUTH_FAILED, StoreUnavailable.
        """
        now = self._clock()
        if self._held is None or now >= self._held.dies_at:
            self._raise_recent_refusal(now)
            return await asyncio.shield(self._fetching())
        if now >= self._held.renew_at and now >= self._hold_off_until:
            self._fetching()
        return self._held.token

    async def renew(self, refused: Token) -> Token:
        """A store answered 401 to `refused`: the token that follows it. Many may call at once; one asks. Raises as
        `token`."""
        if self._held is not None and self._held.token is refused:
            self._held = None
        return await self.token()

    async def aclose(self) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    def _fetching(self) -> asyncio.Task[Token]:
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(), name="swift-token")
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[Token]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # whoever waited has it; in the background the old token goes on until it dies

    async def _fetch(self) -> Token:
        asked_at = self._clock()
        try:
            token = await self._auth.authenticate(self._session, self._options.auth_seconds)
        except StoreError as error:
            self._failure = error
            self._hold_off_until = self._clock() + self._options.refusal_seconds
            raise
        self._failure = None
        self._held = self._hold(token, asked_at)
        return token

    def _hold(self, token: Token, asked_at: float) -> _Held:
        if token.lifetime_seconds is None:
            return _Held(token, float("inf"), float("inf"))
        fraction = self._options.renew_at_fraction - self._options.renew_jitter * self._jitter()
        return _Held(token, asked_at + token.lifetime_seconds * fraction, asked_at + token.lifetime_seconds)

    def _raise_recent_refusal(self, now: float) -> None:
        """Refused credentials are not tried again at once; a Keystone that was away is."""
        if self._failure is not None and self._failure.code == "STORE_AUTH_FAILED" and now < self._hold_off_until:
            raise StoreError(self._failure.code, **self._failure.detail)
