"""What is not known at a creation: which segments make a file, what is known of its size before, and its length."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.access import Permit
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Status
from pipeline.core.model import Deferred, Upload
from pipeline.core.segments import SegmentPlan, StoreLimits
from pipeline.core.stored_objects import StoredSegment
from pipeline.uploads.deferred import (
    SHORTEST_BYTES,
    announced_length,
    known_bytes,
    most_bytes,
    plan_of,
    require_acknowledged,
)

pytestmark = pytest.mark.unit

LIMITS = StoreLimits(max_segments=1000, min_segment_bytes=10, max_segment_bytes=10**9, max_object_bytes=10**6)
UPLOAD = Upload(
    upload_id="u",
    filename="a.mp4",
    size_bytes=0,
    segment_bytes=SHORTEST_BYTES,
    content_type="video/mp4",
    volume="v",
    store="swift",
    status=Status.GRANTED,
    status_since_ms=0,
    created_at_ms=0,
    updated_at_ms=0,
    deferred=Deferred.SIZE,
)


def segments(*sizes: int) -> list[StoredSegment]:
    return [StoredSegment(number, size, f"e{number}") for number, size in enumerate(sizes, 1)]


@given(st.integers(1, 10**6), st.integers(10, 10**6))
def test_the_plan_of_a_file_is_found_again(size_bytes: int, segment_bytes: int) -> None:
    plan = SegmentPlan(size_bytes, segment_bytes)
    found = plan_of(UPLOAD, segments(*(plan.length(number) for number in range(1, plan.count + 1))), LIMITS)
    assert (found.size_bytes, found.count) == (size_bytes, plan.count)
    assert [found.length(number) for number in range(1, plan.count + 1)] == [
        plan.length(number) for number in range(1, plan.count + 1)
    ]


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ((20, 19, 20), "segment 2 has 19 bytes, and segment 1 has 20"),
        ((20, 20, 21), "the last segment has 21 bytes, more than the 20 of the others"),
        ((20, 0), "segment 2 is empty"),
        ((0,), "segment 1 is empty"),
        ((9, 9), "segments have 9 bytes, and the store joins none below 10"),
    ],
)
def test_segments_that_are_not_those_of_one_file(sizes: tuple[int, ...], reason: str) -> None:
    with pytest.raises(RequestError) as refused:
        plan_of(UPLOAD, segments(*sizes), LIMITS)
    assert (refused.value.code, refused.value.detail["reason"]) == ("SEGMENTS_UNEVEN", reason)


def test_a_gap_is_named() -> None:
    first, _, third = segments(20, 20, 20)
    with pytest.raises(RequestError) as refused:
        plan_of(UPLOAD, [first, third], LIMITS)
    assert (refused.value.code, refused.value.detail["missing"]) == ("SEGMENTS_MISSING", [(2, 2)])


def test_an_announced_size_is_the_size() -> None:
    announced = replace(UPLOAD, size_bytes=45, deferred=Deferred.PLAN)
    assert plan_of(announced, segments(20, 20, 5), LIMITS) == SegmentPlan(45, 20)
    with pytest.raises(RequestError) as refused:
        plan_of(announced, segments(20, 20, 4), LIMITS)
    assert refused.value.detail["reason"] == "they have 44 bytes, and a file of 45 was announced"


def test_a_file_that_is_too_large_for_the_store() -> None:
    with pytest.raises(RequestError) as refused:
        plan_of(UPLOAD, segments(10**6, 1), LIMITS)
    assert refused.value.code == "FILE_TOO_LARGE_FOR_STORE"


def test_what_a_segment_says_of_the_size() -> None:
    assert known_bytes(UPLOAD, 1, LIMITS) == 1
    assert known_bytes(UPLOAD, 3, LIMITS) == 2 * SHORTEST_BYTES + 1
    announced = replace(UPLOAD, size_bytes=2 * SHORTEST_BYTES + 1, deferred=Deferred.PLAN)
    assert known_bytes(announced, 3, LIMITS) == announced.size_bytes
    for upload, number, last in ((UPLOAD, 1001, 1000), (UPLOAD, 0, 1000), (announced, 4, 3)):
        with pytest.raises(RequestError) as refused:
            known_bytes(upload, number, LIMITS)
        assert (refused.value.code, refused.value.detail["segment_count"]) == ("SEGMENT_OUT_OF_RANGE", last)


def test_what_the_client_was_acknowledged_is_compared() -> None:
    held = {segment.number: segment for segment in segments(20, 20)}
    require_acknowledged({1: '"e1"', 2: "E2"}, held)
    for sent, missing in (({1: "e1", 2: "other"}, [(2, 2)]), ({2: "e2"}, [(1, 1)]), ({1: "e1", 3: "e3"}, [(2, 3)])):
        with pytest.raises(RequestError) as refused:
            require_acknowledged(sent, held)
        assert refused.value.detail["missing"] == missing


def test_a_deferred_plan_has_never_one_segment() -> None:
    assert [replace(UPLOAD, granted_segments=number).plan.count for number in (0, 1, 2, 1000)] == [2, 2, 3, 1001]


@pytest.mark.parametrize(
    ("offset", "body", "size", "ends", "expected"),
    [
        (5, 3, None, False, None),
        (5, None, None, True, None),  # known when the body ends
        (5, 3, None, True, 8),
        (5, 0, None, True, 5),
        (5, 3, 8, True, 8),
        (5, 3, 100, False, 100),
        (5, None, 8, True, 8),
        (5, 3, 7, False, "APPEND_TOO_LONG"),
        (5, 0, 4, False, "APPEND_TOO_LONG"),
        (5, 3, 9, True, "UPLOAD_LENGTH_DIFFERS"),
        (0, 0, None, True, "VALIDATION_FAILED"),
        (0, 0, 0, False, "VALIDATION_FAILED"),
        (0, None, 101, False, "DEFERRED_TOO_LARGE"),
        (5, 96, None, False, "DEFERRED_TOO_LARGE"),
        (5, 95, None, True, 100),
    ],
)
def test_how_a_request_announces_a_length(
    offset: int, body: int | None, size: int | None, expected: object, *, ends: bool
) -> None:
    try:
        found: object = announced_length(offset, body, size, ends=ends, most=100)
    except RequestError as error:
        found = error.code
    assert found == expected


@pytest.mark.parametrize(("setting", "allowed", "expected"), [(5, None, 5), (5, 3, 3), (5, 7, 5), (10**7, None, 10**6)])
def test_how_large_a_file_of_unknown_length_may_be(setting: int, allowed: int | None, expected: int) -> None:
    permit = Permit("p", 1, 10**10, max_size_bytes=allowed)
    assert most_bytes(setting, LIMITS, permit) == expected
    assert most_bytes(setting, LIMITS, None) == min(setting, 10**6)


@pytest.mark.parametrize("size", [1, 9, 10, 11, 100])
def test_the_plan_of_a_deferred_length_is_that_of_the_largest_file(size: int) -> None:
    upload = replace(UPLOAD, segment_bytes=10, deferred=Deferred.LENGTH, most_bytes=size)
    assert upload.plan == SegmentPlan(size, 10)
