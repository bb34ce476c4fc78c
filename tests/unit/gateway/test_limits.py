"""Buckets that refill at a constant rate, and what they say of themselves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import _REMEMBERED, LogBudget, RateLimit, RequestLimits, Sites, level_item, policy_item
from pipeline.core.errors import LimitReached

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_serves_its_burst_at_once_and_its_rate_afterwards() -> None:
    clock = Clock()
    limit = RateLimit("requests", 10, 20, clock)
    assert [limit.take("a").remaining for _ in range(20)] == list(range(19, -1, -1))
    refused = limit.take("a")
    assert (refused.taken, refused.remaining) == (False, 0)
    assert refused.seconds == pytest.approx(0.1)
    clock.now += 0.1
    assert limit.take("a").taken
    assert not limit.take("a").taken
    clock.now += 60
    assert sum(limit.take("a").taken for _ in range(30)) == 20, "it holds no more than its burst"


def test_owners_have_buckets_of_their_own() -> None:
    limit = RateLimit("requests", 1, 1, Clock())
    assert limit.take("a").taken
    assert limit.take("b").taken
    with pytest.raises(LimitReached) as error:
        limit.require("a")
    assert error.value.detail == {"what": "requests", "retry_after_seconds": 1}


def test_a_refused_request_takes_nothing() -> None:
    clock = Clock()
    limit = RateLimit("requests", 1, 1, clock)
    limit.take("a")
    for _ in range(1000):
        assert not limit.take("a").taken
    clock.now += 1.0
    assert limit.take("a").taken


@given(
    st.floats(0.01, 10_000),
    st.integers(1, 1000),
    st.lists(st.floats(0, 100), max_size=60),
)
def test_no_more_is_served_than_burst_and_rate_allow(per_second: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    limit = RateLimit("requests", per_second, burst, clock)
    began, served = clock.now, 0
    for pause in pauses:
        clock.now += pause
        level = limit.take("a")
        served += level.taken
        assert served <= burst + (clock.now - began) * per_second + 1e-3
        assert 0 <= level.remaining <= burst
        assert level.seconds >= 0


def test_the_memory_of_a_limit_is_bounded() -> None:
    limit = RateLimit("failures", 0.001, 10, Clock())
    for number in range(_REMEMBERED + 100):
        limit.take(str(number))
    assert len(limit._full_at) == _REMEMBERED


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    limit = RateLimit("failures", 10, 10, clock)
    for number in range(100):
        limit.take(str(number))
    clock.now += 1
    limit.take("a")
    assert len(limit._full_at) == 1


def test_fields_are_structured_fields_with_integers() -> None:
    """RFC 9651: a list of strings with parameters."""
    assert RateLimit("requests", 500, 1000).policy == '"requests";q=1000;w=2'
    assert policy_item("creations", 3, 0.4) == '"creations";q=3;w=1'
    assert level_item("requests", 7, 0.01) == '"requests";r=7;t=1'
    assert level_item("requests", 1000, 0.0) == '"requests";r=1000;t=0'
    limits = RequestLimits.of(0.3, 0.01)
    assert limits.requests is not None
    assert limits.creations is not None
    for item in (limits.requests.policy, limits.creations):
        assert re.fullmatch(r'"[a-z]+";q=[1-9]\d*;w=[1-9]\d*', item)


def test_the_policy_of_creations_is_the_bucket_in_redis() -> None:
    assert RequestLimits.of(500, 50).creations == '"creations";q=200;w=4'
    assert RequestLimits.of(500, 0.01).creations == '"creations";q=1;w=100'
    assert RequestLimits.of(None, None).requests is None


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.7", ("192.0.2.7", True)),
        ("2001:db8::1", ("2001:db8::/64", True)),
        ("2001:db8::ffff:1", ("2001:db8::/64", True)),
        ("2001:db8:0:1::1", ("2001:db8:0:1::/64", True)),
        ("fe80::1%eth0", ("fe80::/64", True)),
        ("::ffff:192.0.2.7", ("192.0.2.7", True)),
        ("10.1.2.3", ("10.1.2.3", False)),
        ("::ffff:10.1.2.3", ("10.1.2.3", False)),
        ("fd00::5", ("fd00::5", False)),
        ("", ("", False)),
        ("not an address", ("not an address", False)),
    ],
)
def test_a_client_cannot_choose_addresses_to_be_another_one(host: str, site: tuple[str, bool]) -> None:
    assert Sites(("10.0.0.0/8", "fd00::/16")).find(host) == site


def test_failures_of_a_trusted_proxy_are_not_counted() -> None:
    limits = RequestLimits.of(None, None, ("10.0.0.1",))
    for _ in range(1000):
        limits.count_failure("10.0.0.1")

    def many() -> None:
        for _ in range(1000):
            limits.count_failure("10.0.0.2")

    with pytest.raises(LimitReached):
        many()


def test_the_log_says_how_many_lines_were_left_out() -> None:
    clock = Clock()
    budget = LogBudget(RateLimit("log", 1, 2, clock))
    assert [budget.spend() for _ in range(5)] == [0, 0, None, None, None]
    clock.now += 1
    assert [budget.spend(), budget.spend()] == [3, None]


def test_a_request_may_take_several_and_never_needs_more_than_a_full_bucket() -> None:
    clock = Clock()
    limit = RateLimit("segments", 10, 20, clock)
    level = limit.take("a", 15)
    assert (level.taken, level.remaining) == (True, 5)
    assert level.seconds == pytest.approx(1.5)
    level = limit.take("a", 6)
    assert (level.taken, level.remaining) == (False, 0)
    assert level.seconds == pytest.approx(0.1)
    assert limit.take("a", 5).taken, "what was refused has taken nothing"
    clock.now += 2
    assert limit.take("a", 1000).taken
    assert not limit.take("a").taken
