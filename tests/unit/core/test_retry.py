"""Retry decisions: whether to try again, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import MediaError, SluiceError, StoreUnavailable
from pipeline.core.retry import (
    Dependency,
    GiveUp,
    Outage,
    OutageBudget,
    RetryAfter,
    RetryPolicy,
    decide,
    decide_outage,
    dependency_of,
    jittered,
    outage_policy,
)

pytestmark = pytest.mark.unit

POLICY = RetryPolicy(max_attempts=5, base_seconds=1, cap_seconds=10)


def test_steps_double_up_to_the_cap() -> None:
    error = StoreUnavailable(reason="503")
    policy = RetryPolicy(max_attempts=100, base_seconds=1, cap_seconds=10)
    longest = [decide(error, attempt, policy, jitter=1.0) for attempt in (1, 2, 3, 4, 5, 50)]
    assert longest == [RetryAfter(seconds) for seconds in (1, 2, 4, 8, 10, 10)]
    assert decide(error, 3, policy, jitter=0.0) == RetryAfter(2), "at least half of the step"


@given(step=st.floats(0.001, 1e6), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_draws_from_the_upper_half_of_the_step(step: float, jitter: float) -> None:
    assert jittered(step, 0.0) == step / 2
    assert step / 2 <= jittered(step, jitter) <= step


def test_attempts_end_at_max_attempts() -> None:
    error = StoreUnavailable(reason="503")
    assert isinstance(decide(error, 4, POLICY, 0.5), RetryAfter)
    assert decide(error, 5, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")
    assert decide(error, 10**6, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")


def test_an_error_that_is_not_retryable_is_given_up_at_once() -> None:
    assert decide(MediaError("NOT_MEDIA", reason="text"), 1, POLICY, 0.5) == GiveUp("NOT_MEDIA")


def test_retry_after_is_a_lower_bound_of_the_pause() -> None:
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
def test_any_error_is_either_retried_within_its_step_or_given_up(
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


BUDGET = OutageBudget(store_seconds=100, database_seconds=200, disk_seconds=50, worker_seconds=150)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("STORE_UNAVAILABLE", 100),
        ("STORE_AUTH_FAILED", 100),
        ("DATABASE_UNAVAILABLE", 200),
        ("REDIS_UNAVAILABLE", 200),
        ("TEMP_VOLUME_FAILED", 50),
        ("TEMP_VOLUME_FULL", 50),
        ("STAGE_CRASHED", 150),
        ("STAGE_TIMEOUT", 150),
        ("MEDIA_TOOL_FAILED", 150),
        ("DATABASE_REJECTED", 200),
        ("MANIFEST_REFUSED", None),
        ("NOT_MEDIA", None),
    ],
)
def test_each_dependency_has_its_own_budget(code: str, seconds: float | None) -> None:
    dependency = dependency_of(SluiceError(code))
    assert (None if dependency is None else BUDGET.seconds_for(dependency)) == seconds


def test_default_budgets_outlast_hours() -> None:
    for dependency in Dependency:
        if dependency is not Dependency.DISK:
            assert OutageBudget().seconds_for(dependency) >= 6 * 3600


def test_an_unexpected_error_is_repeated_less_and_less_often() -> None:
    """A day of it takes some 300 attempts, not one every half minute."""
    error = SluiceError("STAGE_CRASHED", stage="probe", reason="KeyError")
    policy = outage_policy(Dependency.WORKER)
    seconds, attempts = 0.0, 0
    while isinstance(decision := decide_outage(error, Outage(seconds, attempts + 1), 86_400, policy, 0.5), RetryAfter):
        seconds += decision.seconds
        attempts += 1
    assert decision == GiveUp("STAGE_CRASHED")
    assert seconds >= 86_400
    assert 100 < attempts < 500


def test_pauses_grow_with_the_outage_up_to_the_cap() -> None:
    error = StoreUnavailable(reason="503")
    pauses = [decide_outage(error, Outage(seconds, 9), 10_000, POLICY, jitter=1.0) for seconds in (0, 1, 3, 10, 5_000)]
    assert pauses == [RetryAfter(pause) for pause in (1, 1, 3, 10, 10)]
    assert decide_outage(error, Outage(5_000, 9), 10_000, POLICY, jitter=0.0) == RetryAfter(5), (
        "at least half of the step"
    )


def test_the_budget_ends_by_time_with_a_last_attempt_at_its_end() -> None:
    error = StoreUnavailable(reason="503")
    assert decide_outage(error, Outage(99.5, 9), 100, POLICY, 0.5) == RetryAfter(0.5)
    assert decide_outage(error, Outage(100, 4), 100, POLICY, 0.5) == GiveUp("STORE_UNAVAILABLE")


def test_two_failures_far_apart_are_not_an_outage() -> None:
    error = StoreUnavailable(reason="503")
    assert decide_outage(error, Outage(40_000, 2), 100, POLICY, jitter=1.0) == RetryAfter(10)


def test_retry_after_is_honoured_during_an_outage() -> None:
    asked = StoreUnavailable(reason="slow down", retry_after_seconds=42)
    assert decide_outage(asked, Outage(0, 1), 100, POLICY, 0.5) == RetryAfter(42)
    assert decide_outage(asked, Outage(90, 9), 100, POLICY, 0.5) == RetryAfter(42), "may exceed the budget"


@given(
    seconds=st.floats(0, 1e6),
    failures=st.integers(1, 1_000),
    budget=st.floats(0.001, 1e6),
    asked=st.none() | st.floats(0, 3_600),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_waiting_for_a_dependency_ends(
    seconds: float, failures: int, budget: float, asked: float | None, jitter: float
) -> None:
    decision = decide_outage(
        StoreUnavailable(reason="-", retry_after_seconds=asked), Outage(seconds, failures), budget, POLICY, jitter
    )
    if isinstance(decision, RetryAfter):
        assert seconds < budget or failures < 4
        assert (asked or 0) <= decision.seconds <= max(POLICY.cap_seconds, asked or 0)
    else:
        assert seconds >= budget
        assert failures >= 4
