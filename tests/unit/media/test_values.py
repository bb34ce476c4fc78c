"""Plain values of what a file declares."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.media.inside.values import language, seconds, text

pytestmark = pytest.mark.unit

_WITH_JOINER = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
"""Persian for `I want`: without the zero-width non-joiner it is misspelt."""


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ("Water\x00\x1b[31m gate\n", "Water[31m gate"),
        ("one\r\ntwo\u2028three\u2029four\x85five\tsix", "one two three four five six"),
        ("\u202egnp.exe\u202c \u2066a\u2069 \u202ab \u202bc \u202dd", "gnp.exe a b c d"),
        (_WITH_JOINER, _WITH_JOINER),
        (
            "👩\u200d👩\u200d👧 \U0001fae9 \U0001f6d8",
            "👩\u200d👩\u200d👧 \U0001fae9 \U0001f6d8",
        ),  # newer than Python's table
        ("\ue000 \U000f0000 e\u0301 \u00ad\u2060", "\ue000 \U000f0000 e\u0301 \u00ad\u2060"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("unknown", "unknown"),
        ("N/A", "N/A"),
        ("two  spaces", "two  spaces"),
        ("x" * 5000, "x" * 256),
        ("   ", None),
        ("\x00\x01", None),
        (None, None),
        (b"bytes", None),
    ],
)
def test_text(declared: object, kept: str | None) -> None:
    assert text(declared) == kept


@given(st.text(max_size=600))
def test_any_text_is_bounded_and_can_be_stored(declared: str) -> None:
    kept = text(declared)
    if kept is not None:
        assert 1 <= len(kept) <= 256
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in kept)
        assert not any(unicodedata.bidirectional(character) in ("LRO", "RLO", "LRI", "FSI") for character in kept)
        kept.encode()


@pytest.mark.parametrize(
    ("declared", "kept"), [("eng", "eng"), ("und", None), ("", None), (None, None), ("pt-BR", "pt-BR")]
)
def test_a_language(declared: object, kept: str | None) -> None:
    assert language(declared) == kept


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e12, None])
def test_a_length_is_positive_and_believable(value: float | None) -> None:
    assert seconds(value) is None
