"""Which segments a reader is expected to need next."""

from __future__ import annotations

import pytest

from pipeline.core.reading import foreseen
from pipeline.core.segments import SegmentPlan

pytestmark = pytest.mark.unit

KIB, MIB = 1024, 1024**2
SEGMENT = 10 * MIB
PLAN = SegmentPlan(102 * SEGMENT + 5, SEGMENT)


@pytest.mark.parametrize(
    ("missing", "end", "expected"),
    [
        ({101}, 100 * SEGMENT + 100, {102, 103}),  # an index that reaches to the end
        ({102}, 101 * SEGMENT + 100, {103}),
        ({103}, 102 * SEGMENT + 5, set()),
        ({102, 103}, 102 * SEGMENT + 5, set()),
        ({100}, 99 * SEGMENT + 100, set()),  # too far from the end to be sure
        ({11}, 10 * SEGMENT + 64 * KIB, set()),
        ({11}, 11 * SEGMENT - 100 * KIB, {12}),  # a frame that probably ends in the next segment
        ({11}, 11 * SEGMENT, {12}),
        ({11}, 11 * SEGMENT - MIB - 1, set()),
        ({11, 12}, 11 * SEGMENT + 1, set()),
        ({2}, SEGMENT + 64 * KIB, set()),
    ],
)
def test_segments_that_will_be_needed_are_foreseen(missing: set[int], end: int, expected: set[int]) -> None:
    assert foreseen(PLAN, missing, end) == expected


@pytest.mark.parametrize("count", range(1, 7))
def test_of_a_few_segments_only_the_next_one_is_foreseen(count: int) -> None:
    """Two segments more would be much of such a file."""
    plan = SegmentPlan(count * SEGMENT, SEGMENT)
    for number in range(1, count + 1):
        assert foreseen(plan, {number}, (number - 1) * SEGMENT + 1) == set()
        assert foreseen(plan, {number}, number * SEGMENT) == ({number + 1} if number < count else set())


@pytest.mark.parametrize("segment_bytes", [1, 7, 64 * KIB, SEGMENT])
def test_what_is_foreseen_is_a_segment_of_the_file(segment_bytes: int) -> None:
    plan = SegmentPlan(20 * segment_bytes - segment_bytes // 2, segment_bytes)
    for number in range(1, plan.count + 1):
        for end in (plan.offset(number) + 1, plan.offset(number) + plan.length(number)):
            found = foreseen(plan, {number}, end)
            assert found <= set(range(1, plan.count + 1)) - {number}
            assert len(found) <= 2
