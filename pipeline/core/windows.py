"""Window arithmetic: how many bytes of a file the temp volume may hold at once when it does not hold all of it.

Reservations are counted in whole blocks, as filesystems allocate bytes. So what is reserved for an upload is never less
than what its bytes occupy on the disk, whatever the length of its file and of its segments.

Guarantee: a window is a whole number of segments, at least two, and never more than the volume's capacity. Segments
that the reader requests have a part of the window to themselves (`reader_segments`), so a window that is full of other
segments does not keep the reader waiting. The rest of the window empties by itself as the store acknowledges segments;
where the store can read segments, all of it does. So every upload can finish within its window, whatever others do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.core.errors import RequestError
from pipeline.core.segments import SegmentPlan, StoreLimits, plan_segments

MAX_READER_SEGMENTS = 3
"""Segments that the reader of a windowed upload may wait for at once and, where the store cannot read segments before
the manifest, hold: the first one, one with the index, one with a frame."""

_FEWEST_SEGMENTS = MAX_READER_SEGMENTS + 1
# With as many segments, the client sends, the store receives and the reader reads at the same time.
_WANTED_SEGMENTS = 6

BLOCK_BYTES = 4096
"""The unit in which a filesystem allocates bytes and removes them, and in which room is reserved."""


def on_disk_bytes(size_bytes: int) -> int:
    """What this many bytes from the beginning of a block on occupy on the disk: whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def plan_upload(
    size_bytes: int,
    limits: StoreLimits,
    *,
    preferred_bytes: int,
    capacity_bytes: int,
    share: float,
    beside: Callable[[SegmentPlan], int] = lambda _: 0,
) -> tuple[SegmentPlan, int | None]:
    """Cut a file into segments, and plan its window (None: it is held whole). `beside`: the bytes that the upload holds
    beside its file, which are not available to it; more segments never need fewer. A windowed file has smaller segments
    than preferred if its share of the volume holds fewer than six of those, as far as the store's limits allow. They
    are whole blocks of the filesystem, so that each leaves the disk completely.

    Raises RequestError FILE_TOO_LARGE_FOR_STORE, SEGMENTS_TOO_LARGE_FOR_VOLUME."""
    plan = plan_segments(size_bytes, limits, preferred_bytes)
    if on_disk_bytes(size_bytes) <= share * (capacity_bytes - beside(plan)):
        return plan, None
    windowed = _windowed(size_bytes, limits, preferred_bytes, capacity_bytes, share)
    window_bytes = plan_window(windowed, max(0, capacity_bytes - beside(windowed)), share)
    return (plan, None) if window_bytes is None else (windowed, window_bytes)


def plan_unknown(
    most_bytes: int,
    limits: StoreLimits,
    *,
    preferred_bytes: int,
    capacity_bytes: int,
    share: float,
    beside: Callable[[SegmentPlan], int] = lambda _: 0,
) -> tuple[SegmentPlan, int]:
    """As `plan_upload`, for a file whose length is not known: the plan of the largest one that it may be. It always has
    a window, of six segments where the share of the volume holds them, so that it reserves no more than it needs to
    flow. That file has `most_bytes`, or fewer if the store would need segments of which the share holds less than
    four."""
    longest = max(
        _whole_blocks(int(share * capacity_bytes) // _FEWEST_SEGMENTS), on_disk_bytes(limits.min_segment_bytes)
    )
    most_bytes = min(most_bytes, limits.max_segments * longest)
    plan = _windowed(most_bytes, limits, preferred_bytes, capacity_bytes, share)
    most_segments = min(_WANTED_SEGMENTS, max(2, plan.count))
    return plan, _window(plan, max(0, capacity_bytes - beside(plan)), share, most_segments)


def plan_window(plan: SegmentPlan, capacity_bytes: int, share: float) -> int | None:
    """The window of a file, in bytes; None: the file is held whole, since it occupies no more than `share` (0 to 1) of
    `capacity_bytes`, which is what all uploads together may hold.

    Raises RequestError SEGMENTS_TOO_LARGE_FOR_VOLUME when the volume cannot hold two of the file's segments."""
    if on_disk_bytes(plan.size_bytes) <= min(1.0, share) * capacity_bytes:
        return None
    window = _window(plan, capacity_bytes, share)
    return None if window >= plan.size_bytes else window


def _window(plan: SegmentPlan, capacity_bytes: int, share: float, most_segments: int | None = None) -> int:
    segment = plan.segment_bytes
    fitting = max(int(share * capacity_bytes) // segment, _FEWEST_SEGMENTS)
    window = min(fitting, most_segments or fitting, capacity_bytes // segment) * segment
    if window < min(plan.size_bytes, 2 * segment):
        raise RequestError("SEGMENTS_TOO_LARGE_FOR_VOLUME", segment_bytes=segment, capacity_bytes=capacity_bytes)
    return window


def _windowed(
    size_bytes: int, limits: StoreLimits, preferred_bytes: int, capacity_bytes: int, share: float
) -> SegmentPlan:
    """The segments of a file that has a window: whole blocks, and six of them in the share if the store permits it."""
    smaller = _whole_blocks(min(preferred_bytes, int(share * capacity_bytes) // _WANTED_SEGMENTS))
    whole_blocks = replace(
        limits,
        min_segment_bytes=on_disk_bytes(limits.min_segment_bytes),
        max_segment_bytes=_whole_blocks(limits.max_segment_bytes),
    )
    return plan_segments(size_bytes, whole_blocks, smaller, unit_bytes=BLOCK_BYTES)


def room_bytes(plan: SegmentPlan, number: int) -> int:
    """The bytes that leave the disk with a segment: its whole blocks; with the last segment, the file's last block too.
    A block that it shares with a neighbour stays. A segment of a window occupies as many."""
    start = on_disk_bytes(plan.offset(number))
    end = plan.offset(number) + plan.length(number)
    end = on_disk_bytes(end) if end == plan.size_bytes else end - end % BLOCK_BYTES
    return max(0, end - start)


def _whole_blocks(size_bytes: int) -> int:
    return max(BLOCK_BYTES, size_bytes - size_bytes % BLOCK_BYTES)


def reader_segments(window_bytes: int, segment_bytes: int) -> int:
    """How many segments of a window belong to the reader: at most three, and at least one segment is left."""
    return min(MAX_READER_SEGMENTS, window_bytes // segment_bytes - 1)
