"""Names of thumbnails."""

from __future__ import annotations

import time

import pytest
from uuid6 import uuid7

from pipeline.core.stored_objects import later_thumbnail_key, object_key, replaced_at_ms, thumbnail_key, upload_of

pytestmark = pytest.mark.unit


def test_the_name_of_a_replaced_thumbnail_says_when_it_was_made() -> None:
    before = int(time.time() * 1000)
    first, second = (later_thumbnail_key("an-id", uuid7()) for _ in range(2))
    assert first != second
    assert upload_of(first) == "an-id"
    made = replaced_at_ms(first)
    assert made is not None
    assert before <= made <= int(time.time() * 1000)


@pytest.mark.parametrize(
    "key",
    [
        thumbnail_key("an-id"),
        object_key("an-id"),
        f"raw/thumbnail-{'0' * 32}.jpg",
        f"contents/a/thumbnail-{'0' * 31}.jpg",
    ],
)
def test_other_names_say_nothing(key: str) -> None:
    assert replaced_at_ms(key) is None
