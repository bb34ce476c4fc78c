"""`StoreRetries` and `retry_store`: which store requests are repeated, after how long, and when they are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pipeline.core.errors import DependencyUnavailable, SluiceError, StoreError, StoreUnavailable
from pipeline.core.retry import RetryPolicy
from pipeline.engine.retry import StoreRetries, retry_store

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=4, base_seconds=1.0, cap_seconds=3.0)


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays in seconds that were waited for, without waiting. The jitter is 0, so each is half of its step."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("pipeline.engine.retry.asyncio.sleep", sleep)
    monkeypatch.setattr("pipeline.engine.retry.random.random", lambda: 0.0)
    return waited


class Request:
    """A request that raises the given errors, one per call, and then succeeds."""

    def __init__(self, *errors: SluiceError) -> None:
        self.calls = 0
        self._errors: Iterator[SluiceError] = iter(errors)

    async def __call__(self) -> str:
        self.calls += 1
        for error in self._errors:
            raise error
        return "stored"


def unavailable(retry_after_seconds: float | None = None) -> StoreUnavailable:
    return StoreUnavailable(retry_after_seconds=retry_after_seconds, reason="503")


async def test_a_request_that_succeeds_is_sent_once(delays: list[float]) -> None:
    request = Request()
    assert await retry_store(request, POLICY) == "stored"
    assert (request.calls, delays) == (1, [])


async def test_a_request_is_repeated_while_the_store_is_unavailable(delays: list[float]) -> None:
    request = Request(*(unavailable() for _ in range(3)))
    assert await retry_store(request, POLICY) == "stored"
    assert request.calls == 4
    assert delays == [0.5, 1.0, 1.5], "doubles, up to the cap"


async def test_the_last_error_is_raised_after_max_attempts(delays: list[float]) -> None:
    errors = [unavailable() for _ in range(5)]
    request = Request(*errors)
    with pytest.raises(StoreUnavailable) as raised:
        await retry_store(request, POLICY)
    assert raised.value is errors[3]
    assert (request.calls, len(delays)) == (4, 3)


async def test_retry_after_is_a_lower_bound_of_the_delay(delays: list[float]) -> None:
    request = Request(unavailable(retry_after_seconds=60), unavailable(retry_after_seconds=0.1))
    assert await retry_store(request, POLICY) == "stored"
    assert delays == [60, 1.0]


@pytest.mark.parametrize(
    "error",
    [StoreError("STORE_OBJECT_MISSING", key="k"), DependencyUnavailable("REDIS_UNAVAILABLE", reason="refused")],
    ids=lambda error: error.code,
)
async def test_any_other_error_is_raised_at_once(delays: list[float], error: SluiceError) -> None:
    request = Request(error)
    with pytest.raises(SluiceError) as raised:
        await retry_store(request, POLICY)
    assert raised.value is error
    assert (request.calls, delays) == (1, [])


async def test_nothing_is_repeated_once_stop_is_set(delays: list[float]) -> None:
    stop = asyncio.Event()
    request = Request(unavailable(), unavailable())

    async def stop_at_the_second_call() -> str:
        if request.calls == 1:
            stop.set()
        return await request()

    with pytest.raises(StoreUnavailable):
        await retry_store(stop_at_the_second_call, POLICY, stop)
    assert (request.calls, delays) == (2, [0.5])


async def test_progress_restarts_the_count_of_failures(delays: list[float]) -> None:
    retries = StoreRetries(POLICY)
    for _ in range(3):
        await retries.wait_after(unavailable())
    retries.progressed()
    for _ in range(3):
        await retries.wait_after(unavailable())
    assert delays == [0.5, 1.0, 1.5] * 2
    with pytest.raises(StoreUnavailable):
        await retries.wait_after(unavailable())
