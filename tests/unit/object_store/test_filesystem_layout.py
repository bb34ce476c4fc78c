"""No key leads out of the directory, and no two keys share a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout

pytestmark = pytest.mark.unit

ROOT = Path("/store")
LAYOUT = FilesystemLayout(ROOT)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)


@given(NAMES)
def test_a_key_stays_below_the_directory(key: str) -> None:
    path = LAYOUT.object_path(key)
    below = path.relative_to(LAYOUT.objects)
    assert ".." not in below.parts
    assert all(len(part.encode()) <= 255 and not part.startswith(".") and part for part in below.parts)


@given(NAMES, NAMES)
def test_two_keys_have_two_paths_and_none_is_a_directory_of_the_other(one: str, other: str) -> None:
    first, second = LAYOUT.object_path(one), LAYOUT.object_path(other)
    assert (first == second) == (one == other)
    assert first not in second.parents


@pytest.mark.parametrize("key", ["..", "../../etc/passwd", "/etc/passwd", ".", "a/../b", "\0", "\\..\\", "a" * 1024])
def test_awkward_keys(key: str) -> None:
    assert LAYOUT.objects in LAYOUT.object_path(key).parents


@given(NAMES, st.integers(1, 10_000))
def test_a_segment_is_found_by_its_name_in_a_listing(upload_id: str, number: int) -> None:
    path = LAYOUT.segment_path(upload_id, number, "0" * 32)
    assert LAYOUT.named_segment_path(LAYOUT.segment_name(path)) == path
    assert LAYOUT.segments in path.parents
