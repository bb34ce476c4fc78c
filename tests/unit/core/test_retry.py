"""Retry decisions: who comes again, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import CATALOGUE, MediaError, SluiceError, StoreUnavailable
from pipeline.core.retry import GiveUp, RetryAfter, RetryPolicy, attempts_within, decide

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=5, base_seconds=1, cap_seconds=10)


def test_steps_double_up_to_the_cap() -> None:
    error = StoreUnavailable(reason="503")
    policy = RetryPolicy(max_attempts=100, base_seconds=1, cap_seconds=10)
    longest = [decide(error, attempt, policy, jitter=1.0) for attempt in (1, 2, 3, 4, 5, 50)]
    assert longest == [RetryAfter(seconds) for seconds in (1, 2, 4, 8, 10, 10)]
    assert decide(error, 3, policy, jitter=0.0) == RetryAfter(2), "half of the step at the least"


def test_as_many_attempts_as_patience_asks_for() -> None:
    assert [attempts_within(seconds, POLICY) for seconds in (0.1, 1, 1.5, 3, 16, 25, 45)] == [2, 2, 3, 3, 6, 6, 8]


def test_the_last_attempt_is_the_last() -> None:
    error = StoreUnavailable(reason="503")
    assert isinstance(decide(error, 4, POLICY, 0.5), RetryAfter)
    assert decide(error, 5, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")
    assert decide(error, 10**6, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")


def test_what_cannot_succeed_is_given_up_at_once() -> None:
    assert decide(MediaError("NOT_MEDIA", reason="text"), 1, POLICY, 0.5) == GiveUp("NOT_MEDIA")


def test_the_other_side_is_never_asked_before_it_said() -> None:
    asked = StoreUnavailable(reason="slow down", retry_after_seconds=42)
    assert decide(asked, 1, POLICY, 0.5) == RetryAfter(42)
    assert decide(StoreUnavailable(reason="-", retry_after_seconds=0.01), 1, POLICY, 1.0) == RetryAfter(1)


@given(
    code=st.sampled_from(sorted(CATALOGUE)),
    attempt=st.integers(1, 2_000),
    attempts=st.integers(1, 2_000),
    base=st.floats(0.001, 100),
    cap=st.floats(0.001, 1_000),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_a_decision_is_always_one_of_the_two(
    code: str, attempt: int, attempts: int, base: float, cap: float, jitter: float
) -> None:
    error = SluiceError(code)
    decision = decide(error, attempt, RetryPolicy(attempts, base, cap), jitter)
    if error.retryable and attempt < attempts:
        step = cap if attempt > 60 else min(cap, base * 2 ** (attempt - 1))
        assert isinstance(decision, RetryAfter)
        assert step / 2 * 0.999 <= decision.seconds <= step
    else:
        assert decision == GiveUp(code)
