"""File names on terminals and on servers."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.cli.names import server_filename, shown
from schemas.uploads import CreateUpload

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"film.mp4", "film.mp4"),
        (b"two words.mp4", "two words.mp4"),
        ("ünï 😀.mp4".encode(), "ünï 😀.mp4"),
        (b"new\nline.mp4", r"new\nline.mp4"),
        (b"tab\tbed.mp4", r"tab\tbed.mp4"),
        (b"carriage\rreturn.mp4", r"carriage\rreturn.mp4"),
        (b"red\x1b[31m.mp4", r"red\x1b[31m.mp4"),
        (b"delete\x7f.mp4", r"delete\x7f.mp4"),
        ("c1\x9b31m.mp4".encode(), r"c1\x9b31m.mp4"),
        (b"caf\xe9.mp4", r"caf\xe9.mp4"),
        ("line\u2028separator.mp4".encode(), r"line\u2028separator.mp4"),
        ("gpj.\u202emp4".encode(), r"gpj.\u202emp4"),
        ("isolate\u2066.mp4".encode(), r"isolate\u2066.mp4"),
        (b"back\\slash.mp4", r"back\slash.mp4"),
        ("👩\u200d🚒.jpg".encode(), "👩\u200d🚒.jpg"),
    ],
)
def test_names_are_shown_without_control_characters(name: bytes, text: str) -> None:
    assert shown(os.fsdecode(name)) == text


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        (b"film.mp4", "film.mp4"),
        (b"a\nb\tc\\d.mp4", "a_b_c_d.mp4"),
        (b"caf\xe9.mp4", "caf_.mp4"),
        (b"\x7f\x01.mp4", "__.mp4"),
        ("\x85\u2029.mp4".encode(), "__.mp4"),
        (b"\n", "_"),
    ],
)
def test_names_are_sent_as_the_server_accepts_them(name: bytes, sent: str) -> None:
    assert server_filename(os.fsdecode(name)) == sent


@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_name_of_a_file_system_can_be_sent_and_shown(name: bytes) -> None:
    text = os.fsdecode(name)
    CreateUpload(filename=server_filename(text), size=1, content_type="video/mp4")
    assert shown(text).encode().decode() == shown(text)
    assert len(shown(text).splitlines()) <= 1


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\x85b", "a\u2028b", "a/b", "a\\b", "\ud800", ""])
def test_the_server_refuses_what_is_replaced(name: str) -> None:
    with pytest.raises(ValueError, match="filename"):
        CreateUpload(filename=name, size=1, content_type="video/mp4")
