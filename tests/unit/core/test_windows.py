"""Window arithmetic: how a file is cut so that it passes through a part of the temp volume."""

from __future__ import annotations

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.segments import SegmentPlan, StoreLimits
from pipeline.core.windows import (
    BLOCK_BYTES,
    on_disk_bytes,
    plan_unknown,
    plan_upload,
    plan_window,
    reader_segments,
    room_bytes,
)

pytestmark = pytest.mark.unit

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
SWIFT = StoreLimits(1_000, 1, 5 * GIB, 1_000 * 5 * GIB)
S3 = StoreLimits(10_000, 5 * MIB, 5 * GIB, 5 * TIB)


def planned(size: int, capacity: int, share: float = 0.25, limits: StoreLimits = SWIFT) -> tuple[int, int | None]:
    plan, window = plan_upload(size, limits, preferred_bytes=10 * MIB, capacity_bytes=capacity, share=share)
    assert plan.size_bytes == size
    return plan.segment_bytes, window


@pytest.mark.parametrize(
    ("size", "capacity", "share", "expected"),
    [
        (5 * GIB, 20 * GIB, 0.25, (10 * MIB, None)),  # just its share
        (5 * GIB + 1, 20 * GIB, 0.25, (10 * MIB, 512 * 10 * MIB)),
        (20 * GIB, 20 * GIB, 1.0, (20 * GIB // 1000 // MIB * MIB + MIB, None)),  # whole files where they fit
        (21 * GIB, 20 * GIB, 1.0, (5506 * 4096, 952 * 5506 * 4096)),
        (512 * MIB, GIB, 0.25, (10 * MIB, 250 * MIB)),
        (4 * GIB, 256 * MIB, 0.25, (10 * MIB, 60 * MIB)),  # six segments as preferred
        (4 * GIB, 200 * MIB, 0.25, (2133 * 4096, 6 * 2133 * 4096)),  # smaller ones, so that there are six
        (4 * GIB, 64 * MIB, 0.25, (1049 * 4096, 4 * 1049 * 4096)),  # Swift's 1,000 segments allow no smaller ones
        (100 * MIB, 64 * MIB, 0.25, (682 * 4096, 6 * 682 * 4096)),
        (9 * MIB, 32 * MIB, 0.25, (341 * 4096, 6 * 341 * 4096)),
        (100 * MIB, 300 * KIB, 0.1, (104 * KIB, 208 * KIB)),  # two are the least
    ],
)
def test_what_a_file_reserves(size: int, capacity: int, share: float, expected: tuple[int, int | None]) -> None:
    assert planned(size, capacity, share) == expected


def test_segments_are_not_below_the_stores_minimum_nor_above_its_count() -> None:
    assert planned(4 * GIB, 64 * MIB, limits=S3) == (5 * MIB, 20 * MIB), "four segments exceed the share of 16 MiB"
    assert planned(TIB, GIB, limits=S3)[0] == 26844 * 4096


@pytest.mark.parametrize(
    ("most", "capacity", "share", "limits", "expected"),
    [
        (10 * GIB, 100 * GIB, 0.25, SWIFT, (2622 * 4096, 6, 10 * GIB)),  # not its share, but six segments
        (10 * GIB, 100 * GIB, 0.25, S3, (10 * MIB, 6, 10 * GIB)),
        (10 * GIB, 200 * MIB, 0.25, SWIFT, (2622 * 4096, 4, 10 * GIB)),
        (10 * GIB, 100 * MIB, 0.25, SWIFT, (1600 * 4096, 4, 1000 * 1600 * 4096)),  # a smaller file at most
        (10 * GIB, 20 * MIB, 0.25, S3, (5 * MIB, 4, 10 * GIB)),
        (1000, 100 * GIB, 0.25, SWIFT, (10 * MIB, 2, 1000)),
        (30 * MIB, 100 * GIB, 0.25, SWIFT, (10 * MIB, 3, 30 * MIB)),
    ],
)
def test_what_a_file_of_unknown_length_reserves(
    most: int, capacity: int, share: float, limits: StoreLimits, expected: tuple[int, int, int]
) -> None:
    plan, window = plan_unknown(most, limits, preferred_bytes=10 * MIB, capacity_bytes=capacity, share=share)
    assert (plan.segment_bytes, window / plan.segment_bytes, plan.size_bytes) == expected
    assert plan.count <= limits.max_segments


def test_a_volume_that_holds_no_window_of_a_file_of_unknown_length() -> None:
    with pytest.raises(RequestError) as raised:
        plan_unknown(GIB, S3, preferred_bytes=10 * MIB, capacity_bytes=9 * MIB, share=1)
    assert raised.value.code == "SEGMENTS_TOO_LARGE_FOR_VOLUME"


def test_segments_of_a_window_are_whole_blocks() -> None:
    odd = StoreLimits(1_000, 5_000, 5 * GIB, 5 * TIB)
    plan, window = plan_upload(100_000, odd, preferred_bytes=5_001, capacity_bytes=90_000, share=0.25)
    assert (plan.segment_bytes, window) == (8192, 4 * 8192)
    plan, window = plan_upload(100_000, SWIFT, preferred_bytes=1_024, capacity_bytes=90_000, share=0.25)
    assert (plan.segment_bytes, window) == (BLOCK_BYTES, 20_480)


@pytest.mark.parametrize(("capacity", "limits"), [(9 * MIB, S3), (0, SWIFT), (8191, SWIFT)])
def test_a_volume_for_less_than_two_segments_refuses(capacity: int, limits: StoreLimits) -> None:
    with pytest.raises(RequestError) as refused:
        planned(100 * MIB, capacity, limits=limits)
    assert refused.value.code == "SEGMENTS_TOO_LARGE_FOR_VOLUME"
    assert refused.value.detail["capacity_bytes"] == capacity


@pytest.mark.parametrize("capacity", [20_000, 64 * KIB, MIB, 77 * MIB + 13, GIB, 20 * GIB])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("size", [1, 12_345, MIB + 1, 50 * MIB, 3 * GIB])
def test_a_window_is_a_whole_number_of_segments_that_the_volume_holds(capacity: int, share: float, size: int) -> None:
    limits = StoreLimits(10_000_000, 1, 5 * GIB, 5 * TIB)
    plan, window = plan_upload(size, limits, preferred_bytes=10 * MIB, capacity_bytes=capacity, share=share)
    if window is None:
        assert on_disk_bytes(size) <= capacity, "it would wait for ever for its last block"
        return
    assert plan.segment_bytes % BLOCK_BYTES == 0
    assert window % plan.segment_bytes == 0
    assert 2 * plan.segment_bytes <= window <= capacity
    assert window < size
    assert window <= max(share * capacity, 4 * plan.segment_bytes), "no more than its share, unless it needs four"
    readers = reader_segments(window, plan.segment_bytes)
    assert 1 <= readers <= 3
    assert (readers + 1) * plan.segment_bytes <= window, "one segment is left for what the reader does not need"


def test_a_file_within_four_segments_is_held_whole() -> None:
    assert plan_window(SegmentPlan(4 * MIB, MIB), 8 * MIB, 0.25) is None
    assert plan_window(SegmentPlan(4 * MIB + 1, MIB), 8 * MIB, 0.25) == 4 * MIB


@pytest.mark.parametrize(
    ("size", "occupied"),
    [(0, 0), (1, 4096), (4095, 4096), (4096, 4096), (4097, 8192), (20_849, 24_576), (10 * GIB + 1, 10 * GIB + 4096)],
)
def test_a_file_occupies_whole_blocks(size: int, occupied: int) -> None:
    assert on_disk_bytes(size) == occupied


def test_only_whole_blocks_of_a_segment_leave_the_disk() -> None:
    aligned = SegmentPlan(3 * BLOCK_BYTES + 5, BLOCK_BYTES)
    assert [room_bytes(aligned, number) for number in (1, 2, 3, 4)] == [BLOCK_BYTES] * 4
    odd = SegmentPlan(30_000, 10_000)
    assert [room_bytes(odd, number) for number in (1, 2, 3)] == [8192, 4096, 12_288], "two blocks have two segments"
    tiny = SegmentPlan(10_000, 1_000)
    assert [room_bytes(tiny, number) for number in (1, 5, 10)] == [0, 0, 0], "its last block has other segments too"
    last = SegmentPlan(8_192 + 1, 8_192)
    assert [room_bytes(last, number) for number in (1, 2)] == [8_192, 4_096]


@pytest.mark.parametrize("segment", [1, 1_000, 4_095, 4_096, 4_097, 6_000, 16_384, 10_000_000])
@pytest.mark.parametrize("size", [1, 4_095, 4_096, 4_097, 20_849, 24_576, 24_577, 99_999])
def test_segments_give_back_each_block_once(size: int, segment: int) -> None:
    """What is left afterwards are the blocks that two segments share."""
    plan = SegmentPlan(size, segment)
    edges = {end for number in range(1, plan.count) if (end := number * segment) % BLOCK_BYTES}
    shared = {end // BLOCK_BYTES for end in edges}
    given = sum(room_bytes(plan, number) for number in range(1, plan.count + 1))
    assert given == on_disk_bytes(size) - len(shared) * BLOCK_BYTES


@pytest.mark.parametrize("spare", [-1, 0, 1, 4_095])
@pytest.mark.parametrize("size", [4_096 * 30 - 1, 4_096 * 30, 4_096 * 30 + 1])
def test_what_is_reserved_is_compared_with_the_capacity(size: int, spare: int) -> None:
    """A volume without room for the last block of a file gives it a window: it never waits for a block that does not
    come."""
    capacity = on_disk_bytes(size) + spare
    plan, window = plan_upload(size, SWIFT, preferred_bytes=10_000, capacity_bytes=capacity, share=1)
    assert (window is None) == (spare >= 0)
    assert plan_window(SegmentPlan(size, 4_096), capacity, 1) == (None if spare >= 0 else capacity // 4_096 * 4_096)
    assert window is None or (window <= capacity and plan.segment_bytes % BLOCK_BYTES == 0)


def test_segments_of_a_window_are_whole_blocks_below_any_limit_of_the_store() -> None:
    odd = StoreLimits(10, 1, 50_001, 500_010)
    plan, window = plan_upload(460_000, odd, preferred_bytes=50_001, capacity_bytes=400_000, share=1)
    assert (plan.segment_bytes, window) == (49_152, 8 * 49_152)
