"""Segment arithmetic: every byte is in exactly one segment, and the limits of the store are kept."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.core.errors import RequestError
from pipeline.core.segments import (
    DEFAULT_SEGMENT_BYTES,
    MEBIBYTE,
    SegmentPlan,
    StoreLimits,
    plan_segments,
    to_ranges,
)

pytestmark = pytest.mark.unit

SWIFT = StoreLimits(1_000, 1, 5 * 1024**3, 5 * 1024**4)
S3 = StoreLimits(10_000, 5 * MEBIBYTE, 5 * 1024**3, 5 * 1024**4)
SIZES = st.integers(1, 2**53 - 1) | st.integers(1, 10**9) | st.integers(1, 100)


@st.composite
def some_limits(draw: st.DrawFn) -> StoreLimits:
    smallest = draw(st.integers(1, 20))
    largest = draw(st.integers(smallest, 200) | st.integers(MEBIBYTE, 10 * MEBIBYTE))
    return StoreLimits(draw(st.integers(1, 50)), smallest, largest, draw(st.integers(1, 10**9)))


@given(size=st.integers(1, 5_000), segment=st.integers(1, 600))
def test_a_plan_covers_the_file_exactly_once(size: int, segment: int) -> None:
    plan = SegmentPlan(size, segment)
    position = 0
    for number in range(1, plan.count + 1):
        assert plan.offset(number) == position
        assert plan.length(number) == segment if number < plan.count else 1 <= plan.length(number) <= segment
        position += plan.length(number)
    assert position == size


@given(size=SIZES, segment=st.integers(1, 2**40))
def test_large_numbers_stay_exact(size: int, segment: int) -> None:
    plan = SegmentPlan(size, segment)
    assert plan.offset(plan.count) + plan.length(plan.count) == size
    assert plan.count == (size - 1) // segment + 1


@pytest.mark.parametrize("number", [-1, 0, 4, 2**31])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    plan = SegmentPlan(25, 10)
    for method in (plan.offset, plan.length):
        with pytest.raises(RequestError) as refused:
            method(number)
        assert refused.value.code == "SEGMENT_OUT_OF_RANGE"
        assert refused.value.detail == {"number": number, "segment_count": 3}


def holds(plan: SegmentPlan, limits: StoreLimits) -> bool:
    """Whether `plan` keeps every limit. The last segment, even the only one, may be shorter than the minimum."""
    return (
        plan.count <= limits.max_segments
        and limits.min_segment_bytes <= plan.segment_bytes <= limits.max_segment_bytes
        and plan.size_bytes <= limits.max_object_bytes
    )


@given(size=SIZES, limits=some_limits() | st.sampled_from((SWIFT, S3)), preferred=st.integers(1, 20 * MEBIBYTE))
@example(size=1_001, limits=StoreLimits(2, 1, 501, 10**9), preferred=10)
def test_a_plan_keeps_the_limits_or_is_refused(size: int, limits: StoreLimits, preferred: int) -> None:
    assume(limits.min_segment_bytes <= limits.max_segment_bytes)
    try:
        plan = plan_segments(size, limits, preferred)
    except RequestError as refused:
        assert refused.code == "FILE_TOO_LARGE_FOR_STORE"  # noqa: PT017 -- raising is allowed, not required
        assert size > min(limits.max_object_bytes, limits.max_segments * limits.max_segment_bytes)
    else:
        assert plan.size_bytes == size
        assert holds(plan, limits)


@pytest.mark.parametrize(
    ("size", "limits", "segment", "count"),
    [
        (1, SWIFT, DEFAULT_SEGMENT_BYTES, 1),
        (DEFAULT_SEGMENT_BYTES, SWIFT, DEFAULT_SEGMENT_BYTES, 1),
        (DEFAULT_SEGMENT_BYTES + 1, SWIFT, DEFAULT_SEGMENT_BYTES, 2),
        (1_000 * DEFAULT_SEGMENT_BYTES, SWIFT, DEFAULT_SEGMENT_BYTES, 1_000),
        (1_000 * DEFAULT_SEGMENT_BYTES + 1, SWIFT, 11 * MEBIBYTE, 910),
        (1_000 * DEFAULT_SEGMENT_BYTES + 1, S3, DEFAULT_SEGMENT_BYTES, 1_001),
        (5 * 1024**4, SWIFT, 5 * 1024**3, 1_024),
    ],
)
def test_segments_have_the_preferred_length_unless_there_are_too_many(
    size: int, limits: StoreLimits, segment: int, count: int
) -> None:
    if count > limits.max_segments:
        with pytest.raises(RequestError):
            plan_segments(size, limits)
    else:
        assert (plan_segments(size, limits).segment_bytes, plan_segments(size, limits).count) == (segment, count)


@given(numbers=st.lists(st.integers(1, 60)))
def test_ranges_contain_the_same_numbers_and_are_not_adjacent(numbers: list[int]) -> None:
    ranges = to_ranges(numbers)
    assert [number for first, last in ranges for number in range(first, last + 1)] == sorted(set(numbers))
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))


def test_ranges_match_the_documented_example() -> None:
    assert to_ranges([7, 1, 3, 2, 2]) == [(1, 3), (7, 7)]
    assert to_ranges([]) == []
