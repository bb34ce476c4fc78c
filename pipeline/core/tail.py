"""The tail of an upload: the part of its next segment that has arrived, for protocols that resume at a byte.

Guarantee: the offset of an upload counts only bytes that follow each other from the first one on, and that Sluice can
still show: those of received segments, and those of the tail.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from pipeline.core.segments import SegmentPlan

MOST_HELD_BYTES: Final = 4096
"""Bytes of a tail that Redis may hold while there is no room for its segment on the temp volume."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The first `size_bytes` of segment `number`, and their crc32c. `held`: these bytes themselves, if they are not on
    the temp volume because there has been no room for their segment yet."""

    number: int
    size_bytes: int
    crc32c: int
    held: bytes = b""


def first_missing(plan: SegmentPlan, received: Container[int]) -> int | None:
    """The first segment that has not arrived; None: all have."""
    return next((number for number in range(1, plan.count + 1) if number not in received), None)


def offset_of(plan: SegmentPlan, number: int | None, tail: Tail | None) -> int:
    """How many bytes have arrived without a gap, if `number` is the first segment that is missing."""
    if number is None:
        return plan.size_bytes
    return plan.offset(number) + (tail.size_bytes if tail is not None and tail.number == number else 0)
