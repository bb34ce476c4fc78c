"""Header fields of resumable uploads: what the grammars allow, and nothing else, whatever a client sends."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.protocols.fields import boolean, integer, item, media_type, whole_number
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit

NAME = "Upload-Offset"
MOST = 999_999_999_999_999


def sent(*lines: str, name: str = NAME) -> web.Request:
    """A request with these lines of one header field."""
    return make_mocked_request("PATCH", "/files/1", headers=CIMultiDict([(name, line) for line in lines]))


@pytest.mark.parametrize(
    ("line", "value"),
    [("0", 0), ("007", 7), (" 12\t", 12), (str(MOST), MOST)],
)
def test_a_number_of_tus(line: str, value: int) -> None:
    assert whole_number(sent(line), NAME) == value


def test_a_number_of_tus_may_be_missing() -> None:
    assert whole_number(sent(), NAME) is None


@pytest.mark.parametrize(
    "lines",
    [
        *[
            (text,)
            for text in (
                "",
                "-1",
                "+1",
                "1.0",
                "1e3",
                "0x10",
                "1_000",
                "1 2",
                "1,2",
                "five",
                "\u0661\u0662",
                "\uff11",
                "\xff",
            )
        ],
        (str(MOST + 1),),
        ("1" * 5000,),
        ("1", "1"),
        ("1", "2"),
    ],
)
def test_what_is_no_number_of_tus_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as raised:
        whole_number(sent(*lines), NAME)
    assert (raised.value.code, raised.value.detail["header"]) == ("UPLOAD_HEADER_INVALID", NAME)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("  42  ", 42),
        (str(MOST), MOST),
        ("5;a", 5),
        ("5; a=1;b=1.5;*c=?1", 5),
        ('5;a="x;\\"y\\\\";b=*tok/en:x;c=:YQ==:', 5),
        ("5;a=@1659578233;b=%22", None),
        ('5;a=%"%c3%bc"', 5),
    ],
)
def test_an_integer_with_parameters(line: str, value: int | None) -> None:
    assert integer(sent(line), NAME) == value


NO_INTEGERS = [
    *(
        "",
        " ",
        "-1",
        "+1",
        "1.0",
        "5 6",
        "5;",
        "5;A=1",
        "5; =1",
        "5;a=",
        '5;a="',
        '5;a="\x7f"',
        "5;a=(1)",
        "5;a =1",
        "5,",
    ),
    *("1" * 16, '"5"', ":NQ==:", "?1", "five", "\u0661", "5\x00", "5\r\nX: y", "\xff", "5;a=\xff", "(5)"),
]


@pytest.mark.parametrize("line", NO_INTEGERS)
def test_what_is_no_integer_counts_as_absent(line: str) -> None:
    """RFC 9651 section 4.2: a field that cannot be parsed is ignored."""
    assert integer(sent(line), NAME) is None


def test_several_lines_are_a_list_and_no_item() -> None:
    assert integer(sent("5", "5"), NAME) is None
    assert boolean(sent("?1", "?1"), NAME) is None
    assert boolean(sent("?1", ""), NAME) is None


@pytest.mark.parametrize(("line", "value"), [("?0", False), (" ?1 ", True), ("?1;a=b", True)])
def test_a_boolean(line: str, value: bool) -> None:
    assert boolean(sent(line), NAME) is value
    assert boolean(sent(item(value)), NAME) is value


@pytest.mark.parametrize("line", ["", "1", "true", "?", "?2", "?10", "? 1", "?1 ?1", "?1;", "\uff1f1", "?\u0661"])
def test_what_is_no_boolean_counts_as_absent(line: str) -> None:
    assert boolean(sent(line), NAME) is None


@pytest.mark.parametrize("parameter", [";a", "; a", ";a=1", ';a="', ';a="\\', ";a=*", ";a=?", "; ", ";;", ';a="\\"'])
def test_a_long_field_takes_no_longer_for_being_wrong(parameter: str) -> None:
    """The expressions have no choice to make twice: the timeout of tests would end one that has."""
    assert integer(sent("5" + parameter * 2000 + "\x00"), NAME) is None
    assert boolean(sent("?1" + parameter * 2000 + "\x00"), NAME) is None


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_nothing(text: str) -> None:
    found = integer(sent(text), NAME)
    assert found is None or 0 <= found <= MOST
    assert boolean(sent(text), NAME) in (None, False, True)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("application/partial-upload", "application/partial-upload"),
        (" Application/Partial-Upload ; a=b;c", "application/partial-upload"),
        (";", ""),
        ("", ""),
    ],
)
def test_a_media_type(line: str, value: str) -> None:
    assert media_type(sent(line, name="Content-Type")) == value
    assert media_type(sent()) == ""
