"""Window arithmetic: how many bytes an upload may hold on the temp volume at once when it does not hold all of its file.

Guarantee: a window is a whole number of segments, at least two, and never more than the volume's capacity. Segments that
the reader needs have a part of the window to themselves (`reader_segments`), so a window that is full of other segments
never keeps the reader waiting; the rest of the window empties by itself as the store acknowledges segments. So every
upload can finish within its window, whatever others do.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.segments import SegmentPlan

MAX_READER_SEGMENTS = 3
"""Segments that the reader of a windowed upload may hold: the first one, one with the index, one with a frame."""

_FEWEST_SEGMENTS = MAX_READER_SEGMENTS + 1


def plan_window(plan: SegmentPlan, capacity_bytes: int, share: float) -> int | None:
    """The window of a file, in bytes; None: the file is held whole, since it is not larger than `share` (0 to 1) of
    `capacity_bytes`, which is what all uploads together may hold.

    Raises RequestError SEGMENTS_TOO_LARGE_FOR_VOLUME when the volume cannot hold two of the file's segments."""
    if plan.size_bytes <= min(1.0, share) * capacity_bytes:
        return None
    segment = plan.segment_bytes
    fitting = int(share * capacity_bytes) // segment
    window = min(max(fitting, _FEWEST_SEGMENTS), capacity_bytes // segment) * segment
    if window >= plan.size_bytes:
        return None
    if window < 2 * segment:
        raise RequestError("SEGMENTS_TOO_LARGE_FOR_VOLUME", segment_bytes=segment, capacity_bytes=capacity_bytes)
    return window


def reader_segments(window_bytes: int, segment_bytes: int) -> int:
    """How many segments of a window belong to the reader: at most three, and at least one segment is left."""
    return min(MAX_READER_SEGMENTS, window_bytes // segment_bytes - 1)
