"""Content-Disposition, parsed back by the rules of RFC 6266 and RFC 8187."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.disposition import content_disposition

pytestmark = pytest.mark.unit

_HEADER = re.compile(
    r'(inline|attachment); filename="([^"\\%\x00-\x1f\x7f-\U0010ffff]*)"'
    r"(?:; filename\*=UTF-8''((?:[A-Za-z0-9!#$&+\-.^_`|~]|%[0-9A-F]{2})*))?"
)


def read_back(header: str) -> tuple[str, str]:
    """Kind and file name, as a browser reads them."""
    found = _HEADER.fullmatch(header)
    assert found, header
    return found[1], found[2] if found[3] is None else unquote(found[3], errors="strict")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_any_name_is_parsed_back_exactly(name: str, inline: bool) -> None:
    assert read_back(content_disposition(name, inline=inline)) == ("inline" if inline else "attachment", name)


def test_a_plain_name_needs_no_second_parameter() -> None:
    assert content_disposition("holiday (1).mp4", inline=False) == 'attachment; filename="holiday (1).mp4"'


def test_a_name_in_another_script_has_an_ascii_fallback() -> None:
    header = content_disposition('"日本" 100%.mp4', inline=True)
    assert header == "inline; filename=\"____ 100_.mp4\"; filename*=UTF-8''%22%E6%97%A5%E6%9C%AC%22%20100%25.mp4"


def test_a_lone_surrogate_is_replaced() -> None:
    assert read_back(content_disposition("\ud800.mp4", inline=False))[1] == "?.mp4"
