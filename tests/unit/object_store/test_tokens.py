"""The token source with a clock set by the test: one request in flight, early renewal, a pause after refusals."""

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
    """A login that waits for `gate` and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: StoreError | None = None

    async def authenticate(self, session: Any, timeout_seconds: float) -> Token:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Token(f"token {number}", "http://store/v1/a", 100.0)


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


async def run_background_tasks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_concurrent_callers_share_one_request(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    waiting = [asyncio.create_task(source.token()) for _ in range(50)]
    await run_background_tasks()
    login.gate.set()
    assert len({id(token) for token in await asyncio.gather(*waiting)}) == 1
    assert login.calls == 1


async def test_a_cancelled_caller_does_not_cancel_the_request(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    first, second = (asyncio.create_task(source.token()) for _ in range(2))
    await run_background_tasks()
    first.cancel()
    await run_background_tasks()
    login.gate.set()
    assert (await second).value == "token 1"
    assert first.cancelled()


async def test_concurrent_refusals_cause_one_request(source: TokenSource, login: Login) -> None:
    old = await source.token()
    renewed = await asyncio.gather(*(source.renew(old) for _ in range(16)))
    late = await source.renew(old)
    assert {token.value for token in [*renewed, late]} == {"token 2"}
    assert login.calls == 2


async def test_a_token_is_renewed_in_the_background_before_it_expires(
    source: TokenSource, login: Login, clock: Clock
) -> None:
    await source.token()
    clock.now += 74
    await source.token()
    await run_background_tasks()
    assert login.calls == 1
    clock.now += 2  # past 0.8 - 0.1 * 0.5 of 100 s
    assert (await source.token()).value == "token 1"
    await run_background_tasks()
    assert (await source.token()).value == "token 2"
    assert login.calls == 2


async def test_after_a_failed_renewal_the_old_token_is_used(source: TokenSource, login: Login, clock: Clock) -> None:
    await source.token()
    login.error = StoreUnavailable(reason="unavailable")
    clock.now += 80
    for _ in range(10):
        assert (await source.token()).value == "token 1"
        await run_background_tasks()
    assert login.calls == 2  # not once for each call
    clock.now += 6
    login.error = None
    await source.token()
    await run_background_tasks()
    assert (await source.token()).value == "token 3"


async def test_callers_wait_for_the_successor_of_an_expired_token(
    source: TokenSource, login: Login, clock: Clock
) -> None:
    await source.token()
    clock.now += 100
    assert (await source.token()).value == "token 2"
    login.error = StoreUnavailable(reason="unavailable")
    clock.now += 100
    with pytest.raises(StoreUnavailable):
        await source.token()


async def test_refused_credentials_are_tried_again_after_a_pause(
    source: TokenSource, login: Login, clock: Clock
) -> None:
    login.error = StoreError("STORE_AUTH_FAILED", reason="wrong password")
    for _ in range(5):
        with pytest.raises(StoreError, match="wrong password"):
            await source.token()
    assert login.calls == 1
    clock.now += 6
    login.error = None
    assert (await source.token()).value == "token 2"


async def test_closing_cancels_a_request_in_flight(source: TokenSource, login: Login) -> None:
    login.gate.clear()
    waiting = asyncio.create_task(source.token())
    await run_background_tasks()
    await source.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
