"""Retry decisions: who comes again, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import CATALOGUE, MediaError, SluiceError, StoreUnavailable
from pipeline.core.retry import GiveUp, Outage, OutageBudget, RetryAfter, RetryPolicy, decide, decide_outage

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=5, base_seconds=1, cap_seconds=10)


def test_steps_double_up_to_the_cap() -> None:
    error = StoreUnavailable(reason="503")
    policy = RetryPolicy(max_attempts=100, base_seconds=1, cap_seconds=10)
    longest = [decide(error, attempt, policy, jitter=1.0) for attempt in (1, 2, 3, 4, 5, 50)]
    assert longest == [RetryAfter(seconds) for seconds in (1, 2, 4, 8, 10, 10)]
    assert decide(error, 3, policy, jitter=0.0) == RetryAfter(2), "half of the step at the least"


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


PATIENCE = OutageBudget(store_seconds=100, database_seconds=200, disk_seconds=50)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("STORE_UNAVAILABLE", 100),
        ("STORE_AUTH_FAILED", 100),
        ("DATABASE_UNAVAILABLE", 200),
        ("REDIS_UNAVAILABLE", 200),
        ("TEMP_VOLUME_FAILED", 50),
        ("TEMP_VOLUME_FULL", 50),
        ("STAGE_CRASHED", None),
        ("MANIFEST_REFUSED", None),
        ("NOT_MEDIA", None),
    ],
)
def test_each_dependency_has_its_patience(code: str, seconds: float | None) -> None:
    assert PATIENCE.seconds_for(SluiceError(code)) == seconds


def test_by_default_minutes_never_fail_an_upload() -> None:
    for code in ("STORE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "REDIS_UNAVAILABLE"):
        assert (OutageBudget().seconds_for(SluiceError(code)) or 0) >= 6 * 3600


def test_pauses_grow_with_the_time_away_up_to_the_cap() -> None:
    error = StoreUnavailable(reason="503")
    pauses = [decide_outage(error, Outage(away, 9), 10_000, POLICY, jitter=1.0) for away in (0, 1, 3, 10, 5_000)]
    assert pauses == [RetryAfter(seconds) for seconds in (1, 1, 3, 10, 10)]
    assert decide_outage(error, Outage(5_000, 9), 10_000, POLICY, jitter=0.0) == RetryAfter(5), (
        "half of the step at the least"
    )


def test_patience_ends_by_the_clock_after_one_last_attempt_at_its_end() -> None:
    error = StoreUnavailable(reason="503")
    assert decide_outage(error, Outage(99.5, 9), 100, POLICY, 0.5) == RetryAfter(0.5)
    assert decide_outage(error, Outage(100, 4), 100, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")


def test_two_failures_far_apart_are_no_outage() -> None:
    error = StoreUnavailable(reason="503")
    assert decide_outage(error, Outage(40_000, 2), 100, POLICY, jitter=1.0) == RetryAfter(10)


def test_a_store_that_names_its_time_is_asked_then() -> None:
    asked = StoreUnavailable(reason="slow down", retry_after_seconds=42)
    assert decide_outage(asked, Outage(0, 1), 100, POLICY, 0.5) == RetryAfter(42)
    assert decide_outage(asked, Outage(90, 9), 100, POLICY, 0.5) == RetryAfter(42), "beyond the end, and not before it"


@given(
    away=st.floats(0, 1e6),
    failures=st.integers(1, 1_000),
    patience=st.floats(0.001, 1e6),
    asked=st.none() | st.floats(0, 3_600),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_waiting_for_a_dependency_comes_to_an_end(
    away: float, failures: int, patience: float, asked: float | None, jitter: float
) -> None:
    decision = decide_outage(
        StoreUnavailable(reason="-", retry_after_seconds=asked), Outage(away, failures), patience, POLICY, jitter
    )
    if isinstance(decision, RetryAfter):
        assert away < patience or failures < 4
        assert (asked or 0) <= decision.seconds <= max(POLICY.cap_seconds, asked or 0)
    else:
        assert away >= patience
        assert failures >= 4
