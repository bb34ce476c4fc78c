"""Media types: RFC 9110 section 8.3.1, and what browsers and stores send besides."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.media_types import MAX_CHARACTERS, UNKNOWN, essence, guessed_type, parse, parse_stored
from schemas.uploads import CreateUpload

pytestmark = pytest.mark.unit

LONG = "a" * 127


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        # what MediaRecorder.mimeType is in Chromium, Firefox and Safari
        ("video/webm;codecs=vp9,opus", 'video/webm;codecs="vp9,opus"'),
        ("video/webm;codecs=vp8, opus", 'video/webm;codecs="vp8, opus"'),
        ('video/webm; codecs="vp8, opus"', 'video/webm;codecs="vp8, opus"'),
        ("video/mp4; codecs=avc1.42E01E,mp4a.40.2", 'video/mp4;codecs="avc1.42E01E,mp4a.40.2"'),
        ("video/x-matroska;codecs=avc1", "video/x-matroska;codecs=avc1"),
        ("audio/webm;codecs=opus", "audio/webm;codecs=opus"),
        # File.type
        ("", UNKNOWN),
        ("  \t", UNKNOWN),
        ("VIDEO/MP4", "video/mp4"),
        ("Image/SVG+XML", "image/svg+xml"),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", "application/vnd.ms-excel.sheet.macroenabled.12"),
        # the examples of section 8.3.1, which are equivalent
        ("text/html;charset=utf-8", "text/html;charset=utf-8"),
        ('Text/HTML;Charset="utf-8"', "text/html;charset=utf-8"),
        ('text/html; charset="utf-8"', "text/html;charset=utf-8"),
        ("text/html;charset=UTF-8", "text/html;charset=UTF-8"),
        # optional whitespace and empty parameters (section 5.6.6)
        (" video/mp4 ", "video/mp4"),
        ("video/mp4 ; a=1\t;\tb=2", "video/mp4;a=1;b=2"),
        ("video/mp4;", "video/mp4"),
        ("video/mp4;;; a=1;", "video/mp4;a=1"),
        # quoted strings (section 5.6.4)
        ('a/b;c=""', 'a/b;c=""'),
        ('a/b;c="d;e=f"', 'a/b;c="d;e=f"'),
        (r'a/b;c="say \"x\""', r'a/b;c="say \"x\""'),
        (r'a/b;c="back\\slash"', r'a/b;c="back\\slash"'),
        (r'a/b;c="\t\o\k\e\n"', "a/b;c=token"),
        ('a/b;c="tab\there"', 'a/b;c="tab here"'),
        # every character of a token (section 5.6.2)
        ("!#$%&'*+-.^_`|~09az/!#$%&'*+-.^_`|~09az", "!#$%&'*+-.^_`|~09az/!#$%&'*+-.^_`|~09az"),
        # of equal parameters the first counts; Swift's own parameter is dropped
        ("a/b;c=1;C=2", "a/b;c=1"),
        ("a/b;swift_bytes=5;c=1", "a/b;c=1"),
        ('a/b; Swift_Bytes="5"', "a/b"),
        ("a/b;c=d=e", 'a/b;c="d=e"'),
        ("a/b;c=d/e", 'a/b;c="d/e"'),
        (f"{LONG}/{LONG}", f"{LONG}/{LONG}"),
    ],
)
def test_a_media_type(text: str, normal: str) -> None:
    assert parse(text) == normal
    assert parse(normal) == normal
    assert CreateUpload.model_validate({"filename": "a", "size": 1, "content_type": text}).content_type == normal


@pytest.mark.parametrize(
    "text",
    [
        "foo",
        "video",
        "video/",
        "/mp4",
        "/",
        "video/mp4/x",
        "video /mp4",
        "video/ mp4",
        "video mp4",
        "*/",
        "video/mp4, text/html",
        "video/mp4 x",
        "video/mp4;codecs",
        "video/mp4;=x",
        "video/mp4;codecs=",
        "video/mp4;codecs =x",
        "video/mp4;codecs= x",
        'video/mp4;codecs="x',
        'video/mp4;codecs=x"',
        'video/mp4;codecs="x"y',
        'video/mp4;codecs=x"y"',
        "video/mp4;codecs=x\\",
        r'video/mp4;codecs="x\"',
        "video/mp4;(comment)=x",
        # header injection
        "video/mp4\r\nX-Injected: 1",
        "video/mp4;a=b\r\nX-Injected: 1",
        'video/mp4;a="b\r\nX-Injected: 1"',
        "video/mp4;a=b\n",
        "video/mp4\r",
        "video/mp4\x00",
        'video/mp4;a="\x00"',
        'video/mp4;a="\x7f"',
        'video/mp4;a="\\\n"',
        # not ASCII
        "vidéo/mp4",
        "video/mp4;a=é",
        'video/mp4;a="日本"',
        "video/mp4\N{NO-BREAK SPACE}",
        "\N{FULLWIDTH LATIN SMALL LETTER V}ideo/mp4",
        # too long
        f"{LONG}a/b",
        f"a/{LONG}a",
        "a/b;c=" + "d" * MAX_CHARACTERS,
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        parse(text)
    with pytest.raises(ValidationError) as refused:
        CreateUpload.model_validate({"filename": "a", "size": 1, "content_type": text})
    assert refused.value.errors()[0]["msg"].startswith("Must be a media type (RFC 9110): it")


@given(st.text(st.sampled_from(string.printable + 'é\x00;;;==""\\\\//,,'), max_size=60))
def test_a_normal_form_is_a_header_and_stable(text: str) -> None:
    normal = parse_stored(text)
    assert normal.isascii()
    assert normal.isprintable()
    assert parse(normal) == normal


@pytest.mark.parametrize("body", [{}, {"content_type": None}, {"content_type": ""}])
def test_an_upload_without_a_type(body: dict[str, object]) -> None:
    assert CreateUpload.model_validate({"filename": "a", "size": 1, **body}).content_type == UNKNOWN


@pytest.mark.parametrize("value", [1, True, [], {"type": "video/mp4"}])
def test_a_type_is_text(value: object) -> None:
    with pytest.raises(ValidationError):
        CreateUpload.model_validate({"filename": "a", "size": 1, "content_type": value})


@pytest.mark.parametrize(
    ("stored", "normal"),
    [
        ("video/MP4; codecs=avc1,mp4a", 'video/mp4;codecs="avc1,mp4a"'),
        ("video/mp4;charset", "video/mp4"),
        ("video/mp4; swift_bytes=100", "video/mp4"),
        ("video/mp4\r\nX: 1", UNKNOWN),
        ("mp4", UNKNOWN),
        ("", UNKNOWN),
        ("vidéo/mp4", UNKNOWN),
    ],
)
def test_a_stored_type_may_be_anything(stored: str, normal: str) -> None:
    assert parse_stored(stored) == normal


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mp4", "video/mp4"), ("A.JPG", "image/jpeg"), ("a.mp4.gz", UNKNOWN), ("a", UNKNOWN), ("a.nosuch", UNKNOWN)],
)
def test_the_type_that_a_name_suggests(name: str, kind: str) -> None:
    assert guessed_type(name) == kind


def test_the_essence() -> None:
    assert essence(parse('Video/WebM; codecs="a;b"')) == "video/webm"
