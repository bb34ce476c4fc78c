"""When a delivery is attempted again, and when an endpoint is paused."""

from __future__ import annotations

import pytest

from pipeline.core.webhooks import (
    CAP_SECONDS,
    GIVE_UP_SECONDS,
    SUBSCRIBED,
    AfterFailure,
    Attempt,
    EventType,
    PauseReason,
    RetryRules,
    after_failure,
    event_id,
    retry_seconds,
)

pytestmark = pytest.mark.unit

RULES = RetryRules(first_seconds=5, pause_seconds=24 * 3600)
FAILED = Attempt(500, "it responded 500")


def after(attempt: Attempt = FAILED, rules: RetryRules = RULES, **facts: float) -> AfterFailure:
    known: dict[str, float] = {
        "attempts": 1,
        "age_seconds": 0,
        "failures": 1,
        "failing_seconds": 0,
        "jitter": 1,
        **facts,
    }
    return after_failure(
        rules,
        attempt,
        attempts=int(known["attempts"]),
        age_seconds=known["age_seconds"],
        failures=int(known["failures"]),
        failing_seconds=known["failing_seconds"],
        jitter=known["jitter"],
    )


def test_an_event_has_one_id_without_a_full_stop() -> None:
    ids = {event_id(kind, "0198c1f2-0000-7000-8000-000000000000") for kind in EventType}
    assert len(ids) == len(EventType)
    assert not any("." in found for found in ids)


def test_endpoints_can_ask_for_everything_but_the_test() -> None:
    assert set(SUBSCRIBED) == set(EventType) - {EventType.TEST}


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (204, True), (299, True), (199, False), (300, False), (410, False)]
)
def test_every_2xx_is_a_delivery(status: int, delivered: bool) -> None:
    assert Attempt(status).delivered is delivered


def test_without_a_response_nothing_is_delivered() -> None:
    assert not Attempt(None, "no response within 10 s").delivered


def test_delays_grow_threefold_up_to_six_hours() -> None:
    assert [retry_seconds(RULES, attempts, 1) for attempts in range(1, 6)] == [5, 15, 45, 135, 405]
    assert retry_seconds(RULES, 9, 1) == CAP_SECONDS == 6 * 3600
    assert retry_seconds(RULES, 10**6, 1) == CAP_SECONDS


def test_jitter_shortens_a_delay_by_a_fifth_at_most() -> None:
    assert retry_seconds(RULES, 1, 0) == pytest.approx(4)
    assert retry_seconds(RULES, 1, 0.5) == pytest.approx(4.5)


def test_a_delivery_is_attempted_for_three_days_and_no_longer() -> None:
    age, attempts = 0.0, 0
    while (found := after(attempts=(attempts := attempts + 1), age_seconds=age)).retry_seconds is not None:
        age += found.retry_seconds
        assert age <= GIVE_UP_SECONDS
    assert GIVE_UP_SECONDS - age < CAP_SECONDS
    assert attempts == 20, "within an hour 7, later one every six hours"


def test_retry_after_prolongs_a_delay_and_never_shortens_it() -> None:
    def delay(seconds: float) -> float | None:
        return after(Attempt(503, "it responded 503", seconds), attempts=2).retry_seconds

    assert (delay(1), delay(600), delay(10**9)) == (15, 600, CAP_SECONDS)


def test_an_endpoint_is_held_off_after_five_failures() -> None:
    assert [after(failures=failures).endpoint_seconds for failures in (1, 4, 5, 6)] == [0, 0, 5, 5]
    assert [after(failures=9, failing_seconds=seconds).endpoint_seconds for seconds in (20, 400, 10**6)] == [
        5,
        100,
        300,
    ]


def test_many_failures_at_once_are_no_long_failure() -> None:
    """The deliveries that were in progress when an endpoint stopped fail together."""
    assert after(failures=64, failing_seconds=0.1).endpoint_seconds == 5


@pytest.mark.parametrize(
    ("failures", "failing_seconds", "paused"),
    [(1, 10**6, False), (4, 10**6, False), (5, 24 * 3600 - 1, False), (5, 24 * 3600, True), (1000, 24 * 3600, True)],
)
def test_an_endpoint_that_fails_for_a_day_is_paused(failures: int, failing_seconds: float, paused: bool) -> None:
    found = after(failures=failures, failing_seconds=failing_seconds)
    assert found.pause is (PauseReason.FAILING if paused else None)


def test_an_endpoint_that_is_gone_is_paused_at_once_and_keeps_its_deliveries() -> None:
    found = after(Attempt(410, "it responded 410"))
    assert (found.pause, found.retry_seconds) == (PauseReason.GONE, 5)
