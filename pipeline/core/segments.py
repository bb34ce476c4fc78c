"""Segment arithmetic: how a file is cut into segments, and which bytes belong to which segment.

Guarantee: a plan covers the file exactly once, every segment except the last has the same length, and a plan keeps the
limits of the store it was made for. Segment numbers start at 1, as in the API and as S3 part numbers do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.core.errors import RequestError

MEBIBYTE = 1024 * 1024
DEFAULT_SEGMENT_BYTES = 10 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of a store for one object. Bytes, except `max_segments`.

    Swift SLO: 1,000 segments of 1 byte to 5 GiB (`max_manifest_segments`, `max_file_size`); S3: 10,000 parts of 5 MiB
    to 5 GiB.
    """

    max_segments: int
    min_segment_bytes: int
    max_segment_bytes: int
    max_object_bytes: int


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A file of `size_bytes` cut into `count` segments of `segment_bytes`, the last one shorter or equal."""

    size_bytes: int
    segment_bytes: int

    @property
    def count(self) -> int:
        return max(1, -(-self.size_bytes // self.segment_bytes))

    def offset(self, number: int) -> int:
        """First byte of segment `number`; raises RequestError SEGMENT_OUT_OF_RANGE."""
        self._check(number)
        return (number - 1) * self.segment_bytes

    def length(self, number: int) -> int:
        """Bytes in segment `number`; raises RequestError SEGMENT_OUT_OF_RANGE."""
        self._check(number)
        return min(self.segment_bytes, self.size_bytes - (number - 1) * self.segment_bytes)

    def _check(self, number: int) -> None:
        if not 1 <= number <= self.count:
            raise RequestError("SEGMENT_OUT_OF_RANGE", number=number, segment_count=self.count)


def plan_segments(
    size_bytes: int,
    limits: StoreLimits,
    preferred_bytes: int = DEFAULT_SEGMENT_BYTES,
    *,
    unit_bytes: int = MEBIBYTE,
) -> SegmentPlan:
    """Cut `size_bytes` into segments of `preferred_bytes`, or larger ones (in whole `unit_bytes`) if the store's limits
    require it. Raises RequestError FILE_TOO_LARGE_FOR_STORE when no segment length is large enough."""
    fewest = -(-size_bytes // limits.max_segments)
    wanted = max(preferred_bytes, limits.min_segment_bytes, 1)
    if fewest > wanted:
        wanted = -(-fewest // unit_bytes) * unit_bytes
    segment_bytes = min(wanted, limits.max_segment_bytes)
    largest = min(limits.max_object_bytes, limits.max_segments * limits.max_segment_bytes)
    if size_bytes > largest:
        raise RequestError("FILE_TOO_LARGE_FOR_STORE", size_bytes=size_bytes, limit_bytes=largest)
    return SegmentPlan(size_bytes, segment_bytes)


def to_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Segment numbers as inclusive ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
