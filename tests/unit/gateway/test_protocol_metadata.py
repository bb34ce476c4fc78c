"""Upload-Metadata: parsed or refused, and returned as it was sent."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.metadata import content_type_of, filename_of, parse, serialize
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("lines", "pairs"),
    [
        ([], {}),
        ([""], {}),
        (["", "  "], {}),
        (["is_private"], {"is_private": ""}),
        (["is_private ,  a " + b64("b")], {"is_private": "", "a": "b"}),
        (["filename " + b64("ä/../\x00.mp4")], {"filename": "ä/../\x00.mp4"}),
        ([f"a {b64('1')}", f"b {b64('2')}"], {"a": "1", "b": "2"}),
        (["!#$%&'()*+-./:;<=>?@[]^_`{|}~"], {"!#$%&'()*+-./:;<=>?@[]^_`{|}~": ""}),
    ],
)
def test_pairs(lines: list[str], pairs: dict[str, str]) -> None:
    assert parse(lines) == pairs


@pytest.mark.parametrize(
    "line",
    [
        *(",", "a,", ",a", "a,,b", "a, ,b", "a,a", f"a {b64('1')},a {b64('2')}", "ä", "a\tYQ==", "\udcff", "a\x00"),
        *(
            "a YQ",
            "a YQ==YQ==",
            "a Y Q==",
            "a YQ==\x00",
            "a _-==",
            "a Ä",
            "a \udcff",
            "a =",
            "a YQ== b",
            "a /w==",
            "a 7aCA",
        ),
    ],
)
def test_what_is_no_pair_is_refused(line: str) -> None:
    """Among them bytes that are no UTF-8, and a surrogate that was encoded as if it were a character."""
    with pytest.raises(RequestError) as raised:
        parse([line])
    assert (raised.value.code, raised.value.detail["header"]) == ("UPLOAD_HEADER_INVALID", "Upload-Metadata")


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_returned_is_what_was_sent(pairs: dict[str, str]) -> None:
    sent = serialize(pairs)
    assert parse([sent] if sent else []) == pairs
    assert sent.isascii()
    assert sent.isprintable()


@given(st.text(max_size=60))
def test_any_text_is_pairs_or_refused(text: str) -> None:
    with suppress(RequestError):
        pairs = parse([text])
        assert parse([serialize(pairs)]) == pairs


def test_a_pair_that_did_not_come_with_tus_is_left_out() -> None:
    assert (
        serialize({"two words": "x", "a,b": "x", "ü": "x", "": "x", "line\r\nX-Evil": "x", "fine": "x"}) == "fine eA=="
    )


def test_a_field_that_no_client_would_accept_is_left_out() -> None:
    assert serialize({"a": "x" * 8000}) == ""
    assert serialize({}) == ""


@pytest.mark.parametrize(
    ("pairs", "name"),
    [
        ({"filename": "a.mp4", "name": "b.mp4"}, "a.mp4"),
        ({"filename": "", "name": "b.mp4"}, "b.mp4"),
        ({"Filename": "a.mp4"}, ""),
        ({}, ""),
    ],
)
def test_the_filename(pairs: dict[str, str], name: str) -> None:
    assert filename_of(pairs) == name


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ({"filetype": "video/mp4", "type": "image/png"}, "video/mp4"),
        ({"filetype": "null", "type": "image/png"}, "image/png"),
        ({"filetype": "", "content_type": "image/png"}, "image/png"),
        ({"filetype": "undefined"}, ""),
        ({"filetype": "video/mp4\r\nX-Evil: 1"}, ""),
        ({"filetype": "a/" + "b" * 5000}, ""),
        ({}, ""),
    ],
)
def test_the_content_type(pairs: dict[str, str], found: str) -> None:
    """Text that is no media type says nothing."""
    assert content_type_of(pairs) == found
