"""Segment arithmetic: how a file is cut into segments, and which bytes belong to which segment.

Guarantee: a plan covers the file exactly once, every segment except the last has the same length (of a file joined from
several, except the last of each), and a plan keeps the limits of the store it was made for. Segment numbers start at 1,
as in the API and as S3 part numbers do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

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
    """A file of `size_bytes` cut into `count` segments of `segment_bytes`, the last one shorter or equal. `runs`: the
    plans of which it consists, of a file that is joined from several; `segment_bytes` is then the longest of theirs."""

    size_bytes: int
    segment_bytes: int
    runs: tuple[SegmentPlan, ...] = ()

    @property
    def count(self) -> int:
        if self.runs:
            return sum(run.count for run in self.runs)
        return max(1, -(-self.size_bytes // self.segment_bytes))

    @classmethod
    def joined(cls, runs: Iterable[SegmentPlan]) -> SegmentPlan:
        """The plan of the file that consists of these files, in this order; there is one at least."""
        parts = tuple(runs)
        return cls(sum(run.size_bytes for run in parts), max(run.segment_bytes for run in parts), parts)

    def run_of(self, number: int) -> tuple[int, int]:
        """The index in `runs` of the one that segment `number` belongs to, and its number there. Raises RequestError
        SEGMENT_OUT_OF_RANGE."""
        self._check(number)
        ends = list(accumulate(run.count for run in self.runs))
        index = bisect_right(ends, number - 1)
        return index, number - (ends[index - 1] if index else 0)

    def number_at(self, offset: int) -> int:
        """The segment that contains byte `offset` of the file."""
        if not self.runs:
            return offset // self.segment_bytes + 1
        ends = list(accumulate(run.size_bytes for run in self.runs))
        index = bisect_right(ends, offset)
        before = ends[index - 1] if index else 0
        return sum(run.count for run in self.runs[:index]) + self.runs[index].number_at(offset - before)

    def offset(self, number: int) -> int:
        """First byte of segment `number`; raises RequestError SEGMENT_OUT_OF_RANGE."""
        self._check(number)
        if self.runs:
            index, inside = self.run_of(number)
            return sum(run.size_bytes for run in self.runs[:index]) + self.runs[index].offset(inside)
        return (number - 1) * self.segment_bytes

    def length(self, number: int) -> int:
        """Bytes in segment `number`; raises RequestError SEGMENT_OUT_OF_RANGE."""
        self._check(number)
        if self.runs:
            index, inside = self.run_of(number)
            return self.runs[index].length(inside)
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
