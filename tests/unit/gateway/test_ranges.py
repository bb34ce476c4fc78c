"""Ranges and conditions, from the examples and rules of RFC 9110."""

from __future__ import annotations

import pytest

from gateway.http.ranges import matches_any, range_applies, requested_range
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-499", (0, 499)),
        ("bytes=500-999", (500, 999)),
        ("bytes=-500", (9500, 9999)),
        ("bytes=9500-", (9500, 9999)),
        ("bytes=0-0", (0, 0)),
        ("BYTES = 1-2", (1, 2)),
        ("bytes=9999-20000", (9999, 9999)),
        ("bytes=-20000", (0, 9999)),
        # ignored: the whole is sent
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-0,-1", None),
        ("items=0-4", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=0-99999999999999999999", None),
    ],
)
def test_a_range(value: str | None, expected: tuple[int, int] | None) -> None:
    assert requested_range(value, 10_000) == expected


@pytest.mark.parametrize("value", ["bytes=10000-", "bytes=10000-10001", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(value: str) -> None:
    with pytest.raises(RequestError) as refused:
        requested_range(value, 10_000)
    assert (refused.value.http_status, refused.value.detail) == (416, {"size_bytes": 10_000})


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_an_empty_object_has_no_range(value: str) -> None:
    with pytest.raises(RequestError):
        requested_range(value, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        ("*", True),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"a,b","abc"', True),
        ('"ab"', False),
        ("abc", False),
        ('"x"', False),
    ],
)
def test_if_none_match(value: str | None, expected: bool) -> None:
    assert matches_any(value, "abc") is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, True), ('"abc"', True), ('W/"abc"', False), ('"x"', False), ("Sat, 29 Oct 1994 19:43:31 GMT", False)],
)
def test_if_range(value: str | None, expected: bool) -> None:
    assert range_applies(value, "abc") is expected
