"""Conditions, from the rules and examples of RFC 9110 sections 8.8 and 13; each row names its section."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.http.conditions import Validators, is_not_modified, range_applies
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit

ETAG = '"abc"'
MODIFIED = datetime(1994, 10, 29, 19, 43, 31, tzinfo=UTC)
SAME, EARLIER, LATER = (f"Sat, 29 Oct 1994 19:43:{second} GMT" for second in (31, 30, 32))
CURRENT = Validators(ETAG, MODIFIED)

OK, UNCHANGED, FAILED = 200, 304, 412


def headers(*lines: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(lines))


def outcome(sent: CIMultiDictProxy[str], **options: bool) -> int:
    try:
        return UNCHANGED if is_not_modified(sent, CURRENT, **options) else OK
    except RequestError as error:
        return error.http_status


TABLE: list[tuple[str, list[tuple[str, str]], int]] = [
    ("13.2.2", [], OK),
    # If-Match: strong comparison
    ("13.1.1", [("If-Match", ETAG)], OK),
    ("13.1.1", [("If-Match", "*")], OK),
    ("13.1.1", [("If-Match", '"xyz", "abc", "r2d2"')], OK),
    ("13.1.1", [("If-Match", '"xyz"'), ("If-Match", ETAG)], OK),
    ("13.1.1", [("If-Match", '"xyz"')], FAILED),
    ("13.1.1", [("If-Match", 'W/"abc"')], FAILED),
    ("13.1.1", [("If-Match", "abc")], FAILED),
    ("13.1.1", [("If-Match", "")], FAILED),
    ("13.1.1", [("If-Match", '*, "abc"')], FAILED),
    ("8.8.3", [("If-Match", '"ABC"')], FAILED),
    ("8.8.3", [("If-Match", 'w/"abc"')], FAILED),
    # If-None-Match: weak comparison
    ("13.1.2", [("If-None-Match", ETAG)], UNCHANGED),
    ("13.1.2", [("If-None-Match", 'W/"abc"')], UNCHANGED),
    ("13.1.2", [("If-None-Match", "*")], UNCHANGED),
    ("13.1.2", [("If-None-Match", '"xyz", W/"abc"')], UNCHANGED),
    ("13.1.2", [("If-None-Match", '"xyz"'), ("If-None-Match", ETAG)], UNCHANGED),
    ("13.1.2", [("If-None-Match", '"a,b","abc"')], UNCHANGED),
    ("13.1.2", [("If-None-Match", '"xyz"')], OK),
    ("13.1.2", [("If-None-Match", "abc")], OK),
    ("13.1.2", [("If-None-Match", '"x"abc"y"')], OK),
    ("13.1.2", [("If-None-Match", '"abc')], OK),
    ("5.6.1.2", [("If-None-Match", ' ,, "abc" , ')], UNCHANGED),
    ("5.6.1.2", [("If-None-Match", ",")], OK),
    # If-Modified-Since
    ("13.1.3", [("If-Modified-Since", SAME)], UNCHANGED),
    ("13.1.3", [("If-Modified-Since", LATER)], UNCHANGED),
    ("13.1.3", [("If-Modified-Since", EARLIER)], OK),
    ("13.1.3", [("If-Modified-Since", "yesterday")], OK),
    ("13.1.3", [("If-Modified-Since", "")], OK),
    ("13.1.3", [("If-Modified-Since", SAME), ("If-Modified-Since", SAME)], OK),
    ("13.1.3", [("If-Modified-Since", SAME.replace("GMT", "+0000"))], OK),
    ("13.1.3", [("If-Modified-Since", "Sat, 32 Oct 1994 19:43:31 GMT")], OK),
    ("13.1.3", [("If-Modified-Since", "Sat, 29 Xyz 1994 19:43:31 GMT")], OK),
    # If-Unmodified-Since
    ("13.1.4", [("If-Unmodified-Since", SAME)], OK),
    ("13.1.4", [("If-Unmodified-Since", LATER)], OK),
    ("13.1.4", [("If-Unmodified-Since", EARLIER)], FAILED),
    ("13.1.4", [("If-Unmodified-Since", "yesterday")], OK),
    ("13.1.4", [("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", EARLIER)], OK),
    # the three forms of a date
    ("5.6.7", [("If-Modified-Since", "Saturday, 29-Oct-94 19:43:31 GMT")], UNCHANGED),
    ("5.6.7", [("If-Modified-Since", "Sat Oct 29 19:43:31 1994")], UNCHANGED),
    ("5.6.7", [("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], UNCHANGED),
    ("5.6.7", [("If-Modified-Since", "Friday, 28-Oct-94 19:43:31 GMT")], OK),
    ("5.6.7", [("If-Modified-Since", "Sat Oct 29 19:43:30 1994")], OK),
    ("5.6.7", [("If-Modified-Since", "29 Oct 1994 19:43:31 GMT")], OK),
    # precedence
    ("13.2.2", [("If-Match", ETAG), ("If-Unmodified-Since", EARLIER)], OK),
    ("13.2.2", [("If-Match", '"xyz"'), ("If-Unmodified-Since", LATER)], FAILED),
    ("13.2.2", [("If-Match", '"xyz"'), ("If-None-Match", ETAG)], FAILED),
    ("13.2.2", [("If-Match", ETAG), ("If-None-Match", ETAG)], UNCHANGED),
    ("13.2.2", [("If-Match", ETAG), ("If-None-Match", '"xyz"')], OK),
    ("13.2.2", [("If-Unmodified-Since", EARLIER), ("If-None-Match", ETAG)], FAILED),
    ("13.2.2", [("If-Unmodified-Since", LATER), ("If-Modified-Since", SAME)], UNCHANGED),
    ("13.1.3", [("If-None-Match", '"xyz"'), ("If-Modified-Since", LATER)], OK),
    ("13.1.3", [("If-None-Match", ETAG), ("If-Modified-Since", EARLIER)], UNCHANGED),
]


@pytest.mark.parametrize(("section", "lines", "status"), TABLE)
def test_the_conditions_of_a_get(section: str, lines: list[tuple[str, str]], status: int) -> None:
    assert outcome(headers(*lines)) == status, section


def test_dates_can_be_left_to_the_store() -> None:
    assert outcome(headers(("If-Modified-Since", SAME)), dates=False) == OK
    assert outcome(headers(("If-Unmodified-Since", EARLIER)), dates=False) == OK
    assert outcome(headers(("If-None-Match", ETAG)), dates=False) == UNCHANGED
    assert outcome(headers(("If-Match", '"xyz"')), dates=False) == FAILED


@pytest.mark.parametrize(
    ("section", "lines", "applies"),
    [
        ("13.1.5", [], True),
        ("13.1.5", [("If-Range", ETAG)], True),
        ("13.1.5", [("If-Range", SAME)], True),
        ("13.1.5", [("If-Range", 'W/"abc"')], False),
        ("13.1.5", [("If-Range", '"xyz"')], False),
        ("13.1.5", [("If-Range", LATER)], False),  # an exact match, unlike If-Unmodified-Since
        ("13.1.5", [("If-Range", EARLIER)], False),
        ("13.1.5", [("If-Range", "*")], False),
        ("13.1.5", [("If-Range", f"{ETAG}, {ETAG}")], False),
        ("13.1.5", [("If-Range", ETAG), ("If-Range", ETAG)], False),
        ("13.1.5", [("If-Range", "yesterday")], False),
        ("13.1.5", [("If-Range", "")], False),
    ],
)
def test_if_range(section: str, lines: list[tuple[str, str]], applies: bool) -> None:
    assert range_applies(headers(*lines), CURRENT) is applies, section


def test_the_validators_of_an_object() -> None:
    created = datetime(2026, 1, 2, 4, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=1)))
    found = Validators.of("d41d8cd98f00b204e9800998ecf8427e-12", created, created + timedelta(days=1))
    assert (found.etag, found.last_modified) == (
        '"d41d8cd98f00b204e9800998ecf8427e-12"',
        "Fri, 02 Jan 2026 03:04:05 GMT",
    )


def test_last_modified_is_never_in_the_future() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert Validators.of("a", now + timedelta(seconds=9), now).modified == now


@pytest.mark.parametrize(
    ("digest", "etag"),
    [("abc", '"abc"'), ('W/"abc', '"W/%22abc"'), ("a b\r\nX: 1", '"a%20b%0D%0AX:%201"'), ("é", '"%C3%A9"'), ("", '""')],
)
def test_an_etag_is_valid_whatever_the_store_has_sent(digest: str, etag: str) -> None:
    found = Validators.of(digest, MODIFIED, MODIFIED)
    assert found.etag == etag
    assert is_not_modified(headers(("If-None-Match", found.etag)), found)
