"""Ranges, from the examples and rules of RFC 9110 section 14."""

from __future__ import annotations

import pytest

from gateway.http.ranges import requested_range
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
        ("bytes=0-99999999999999999999", (0, 9999)),
        ("bytes=-99999999999999999999", (0, 9999)),
        ("bytes=0" + "0" * 5000 + "-4", (0, 4)),
        ("bytes=0-" + "9" * 5000, (0, 9999)),
        # several ranges that are one (section 14.2), and empty list elements (section 5.6.1.2)
        ("bytes=500-600,601-999", (500, 999)),
        ("bytes=500-700,601-999", (500, 999)),
        ("bytes=601-999, 500-700", (500, 999)),
        ("bytes=0-4, 20000-", (0, 4)),
        ("bytes=-1, 9999-", (9999, 9999)),
        ("bytes=, 0-4 ,,", (0, 4)),
        # ignored: the whole is sent
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-0,-1", None),
        ("items=0-4", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes", None),
        ("bytes=1", None),
        ("bytes=--1", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=0-4,x", None),
        ("bytes=0-4,5-4", None),
        ("bytes=0-4;5-9", None),
        ("byte=0-4", None),
        ("bytes=0-0,2-2,-1", None),
        ("bytes=" + ",".join(["0-1"] * 101), None),
    ],
)
def test_a_range(value: str | None, expected: tuple[int, int] | None) -> None:
    assert requested_range(value, 10_000) == expected


@pytest.mark.parametrize(
    "value", ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=10000-,-0", "bytes=" + "9" * 5000 + "-"]
)
def test_a_range_beyond_the_end_is_refused(value: str) -> None:
    with pytest.raises(RequestError) as refused:
        requested_range(value, 10_000)
    assert (refused.value.http_status, refused.value.detail) == (416, {"size_bytes": 10_000})


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_an_empty_object_has_no_range(value: str) -> None:
    with pytest.raises(RequestError):
        requested_range(value, 0)
