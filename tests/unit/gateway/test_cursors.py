"""Cursors: the gateway's own are accepted, everything else is refused with one code."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.shared import PageQuery
from gateway.http import cursors
from gateway.http.cursors import Position
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit


VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=255)
)


@given(st.integers(0, 253_402_300_799_999_999), st.uuids().map(str), VALUES)
def test_decoding_a_cursor_returns_its_position(moment: int, name: str, value: cursors.Value) -> None:
    decoded = cursors.decode(cursors.encode(Position(moment, name, value), "d"), "d")
    assert decoded == Position(moment, name, value)
    assert type(decoded.value) is type(value)


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: _encoded(f'["d",1,"a",{text}]')))
def test_no_text_crashes_the_decoder(text: str) -> None:
    with contextlib.suppress(RequestError):
        position = cursors.decode(text, "d")
        assert cursors.decode(cursors.encode(position, "d"), "d") == position


class UploadsQuery(PageQuery):
    status: str | None = None
    sort: str = "newest"


class ContentsQuery(UploadsQuery):
    pass


def test_a_cursor_belongs_to_one_list_with_its_filters_and_order() -> None:
    """A default that is written out is the same query, and so is another page size."""
    digest = cursors.query_digest(UploadsQuery(status="ready", limit=2))
    cursor = cursors.encode(Position(1, "a"), digest)
    for same in (UploadsQuery(status="ready", limit=3, cursor=cursor), UploadsQuery(status="ready", sort="newest")):
        assert cursors.decode(cursor, cursors.query_digest(same)) == Position(1, "a")
    for other in (
        UploadsQuery(),
        UploadsQuery(status="failed"),
        UploadsQuery(status="ready", sort="oldest"),
        ContentsQuery(status="ready"),
    ):
        with pytest.raises(RequestError) as refused:
            cursors.decode(cursor, cursors.query_digest(other))
        assert refused.value.code == "CURSOR_INVALID"


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        _encoded("1"),
        _encoded("1:a"),  # of an older version
        _encoded("null"),
        _encoded('{"d":1}'),
        _encoded('["d",1,"a"]'),
        _encoded('["d",1,"a",null,null]'),
        _encoded('["e",1,"a",null]'),
        _encoded('["d","1","a",null]'),
        _encoded('["d",1.0,"a",null]'),
        _encoded('["d",-1,"a",null]'),
        _encoded('["d",1,"a b",null]'),
        _encoded('["d",1,"a\\n",null]'),
        _encoded('["d",1,"",null]'),
        _encoded('["d",1,"a",true]'),
        _encoded('["d",1,"a",[]]'),
        _encoded('["d",1,"a",NaN]'),
        _encoded('["d",1,"a",1e999]'),
        _encoded('["d",1,"a","\\ud800"]'),
        _encoded(f'["d",{"9" * 18},"a",null]'),
        _encoded("[" * 1400),
        base64.urlsafe_b64encode(b'["d",1,"a","\xff"]').decode(),
    ],
)
def test_an_invalid_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(RequestError, match="cursor") as caught:
        cursors.decode(cursor, "d")
    assert caught.value.code == "CURSOR_INVALID"
