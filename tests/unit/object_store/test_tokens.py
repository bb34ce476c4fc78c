"""The token source under a clock of our own: one flight, early renewal, refusals held back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.adapters.object_store.swift.auth import Token, TokenSource
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError, StoreUnavailable

pytestmark = pytest.mark.unit

NO_SESSION: Any = None


class Login:
    """Answers when it is let; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: StoreError | None = None

    async def authenticate(self, session: Any, timeout_seconds: float) -> Token:
        self.asked += 1
        mine = self.asked
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Token(f"token {mine}", "http://store/v1/a", 100.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login() -> Login:
    return Login()


@pytest.fixture
def source(login: Login, clock: Clock) -> TokenSource:
    options = SwiftOptions(renew_at_fraction=0.8, renew_jitter=0.1, refusal_seconds=5)
    return TokenSource(login, NO_SESSION, options, clock=clock, jitter=lambda: 0.5)


async def in_background() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_callers_share_one_flight(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    waiting = [asyncio.create_task(source.token()) for _ in range(50)]
    await in_background()
    login.gate.set()
    assert len({id(token) for token in await asyncio.gather(*waiting)}) == 1
    assert login.asked == 1


async def test_a_caller_that_is_cancelled_does_not_cancel_the_flight(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    first, second = (asyncio.create_task(source.token()) for _ in range(2))
    await in_background()
    first.cancel()
    await in_background()
    login.gate.set()
    assert (await second).value == "token 1"
    assert first.cancelled()


async def test_many_refused_tokens_ask_once(source: TokenSource, login: Login) -> None:
    old = await source.token()
    renewed = await asyncio.gather(*(source.renew(old) for _ in range(16)))
    late = await source.renew(old)
    assert {token.value for token in [*renewed, late]} == {"token 2"}
    assert login.asked == 2


async def test_it_is_renewed_in_the_background_before_it_dies(source: TokenSource, login: Login, clock: Clock) -> None:
    await source.token()
    clock.now += 74
    await source.token()
    await in_background()
    assert login.asked == 1
    clock.now += 2  # past 0.8 - 0.1 * 0.5 of 100 s
    assert (await source.token()).value == "token 1"
    await in_background()
    assert (await source.token()).value == "token 2"
    assert login.asked == 2


async def test_a_renewal_that_fails_leaves_the_old_token_working(
    source: TokenSource, login: Login, clock: Clock
) -> None:
    await source.token()
    login.error = StoreUnavailable(reason="away")
    clock.now += 80
    for _ in range(10):
        assert (await source.token()).value == "token 1"
        await in_background()
    assert login.asked == 2  # not once for each request
    clock.now += 6
    login.error = None
    await source.token()
    await in_background()
    assert (await source.token()).value == "token 3"


async def test_a_dead_token_is_waited_for(source: TokenSource, login: Login, clock: Clock) -> None:
    await source.token()
    clock.now += 100
    assert (await source.token()).value == "token 2"
    login.error = StoreUnavailable(reason="away")
    clock.now += 100
    with pytest.raises(StoreUnavailable):
        await source.token()


async def test_refused_credentials_are_not_tried_again_for_a_while(
    source: TokenSource, login: Login, clock: Clock
) -> None:
    login.error = StoreError("STORE_AUTH_FAILED", reason="wrong password")
    for _ in range(5):
        with pytest.raises(StoreError, match="wrong password"):
            await source.token()
    assert login.asked == 1
    clock.now += 6
    login.error = None
    assert (await source.token()).value == "token 2"


async def test_closing_ends_a_flight(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    waiting = asyncio.create_task(source.token())
    await in_background()
    await source.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
