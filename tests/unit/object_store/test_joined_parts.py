"""Which segments become one part of a joined object on S3."""

from __future__ import annotations

import pytest

from pipeline.adapters.object_store.s3.joined import joined_parts
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import StoredSegment

pytestmark = pytest.mark.unit

LIMITS = StoreLimits(max_segments=100, min_segment_bytes=5, max_segment_bytes=12, max_object_bytes=1000)


def parts_of(*sizes: int) -> list[list[int]]:
    """The lengths of the segments of each part; the numbers of parts and segments are checked."""
    segments = [StoredSegment(number, size, "e") for number, size in enumerate(sizes, 1)]
    parts = joined_parts(segments, LIMITS)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [number for part in parts for number in part.numbers] == [segment.number for segment in segments]
    assert all(part.size_bytes >= LIMITS.min_segment_bytes for part in parts[:-1])
    return [[segment.size_bytes for segment in part.segments] for part in parts]


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ((1,), [[1]]),
        ((5, 5), [[5], [5]]),
        ((5, 1), [[5], [1]]),
        ((5, 1, 5), [[5], [1, 5]]),
        ((3, 3, 5), [[3, 3], [5]]),
        ((1, 1, 1), [[1, 1, 1]]),
        ((12, 4, 8, 1, 1), [[12], [4, 8], [1, 1]]),
        ((4, 1, 1), [[4, 1], [1]]),
    ],
)
def test_a_short_segment_is_joined_with_those_after_it(sizes: tuple[int, ...], parts: list[list[int]]) -> None:
    assert parts_of(*sizes) == parts


def test_segments_that_are_too_long_for_one_part_are_refused() -> None:
    with pytest.raises(StoreError) as refused:
        parts_of(5, 4, 12, 1)
    assert refused.value.code == "STORE_REJECTED"
