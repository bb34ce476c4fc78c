"""Cursors: the gateway's own are accepted, everything else is refused with one code."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import cursors
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit


@given(st.integers(0, 253_402_300_799_999_999), st.uuids().map(str))
def test_decoding_a_cursor_returns_its_position(moment: int, name: str) -> None:
    assert cursors.decode(cursors.encode((moment, name))) == (moment, name)


@given(st.text(max_size=60))
def test_no_text_crashes_the_decoder(text: str) -> None:
    with contextlib.suppress(RequestError):
        position = cursors.decode(text)
        assert cursors.decode(cursors.encode(position)) == position


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        _encoded("1"),
        _encoded("x:a"),
        _encoded("-1:a"),
        _encoded("1:a b"),
        _encoded("1:a\n"),
        _encoded("9" * 18 + ":a"),
    ],
)
def test_an_invalid_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(RequestError, match="cursor") as caught:
        cursors.decode(cursor)
    assert caught.value.code == "CURSOR_INVALID"
