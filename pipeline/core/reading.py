"""What a stage that reads the file waits for when it needs bytes that are not there yet.

Guarantee: a reading stage never waits for a client while it holds a worker. It becomes `idle`, and the script that
records what it waits for queues it again: a requested segment (`segments`), the last segment (`received`) or the
manifest (`sealed`, where a window has no room for more requests, or where the bytes are in the store only and the store
cannot read segments before that).
"""

from __future__ import annotations

from collections.abc import Collection

from pipeline.core.segments import MEBIBYTE, SegmentPlan

MAX_REQUESTS = 16
"""How often a reading stage may wait for segments that it requests. After that it waits for every segment: the file has
its metadata in many places, and each wait reads it from the beginning."""

_AHEAD_BYTES = MEBIBYTE
_MOST_AT_THE_END = 3


def foreseen(plan: SegmentPlan, missing: Collection[int], end: int) -> frozenset[int]:
    """The segments that a reader will probably request after `missing`, so that it need not wait for them one by one.
    `end`: where the range ends that could not be read.

    What is requested among the last segments is mostly an index, which reaches to the end of the file. Elsewhere, a
    reader that stops shortly before the next segment reads on there: a frame, or the rest of an index.
    """
    last = max(missing)
    if plan.count > 2 * _MOST_AT_THE_END and last > plan.count - _MOST_AT_THE_END:
        return frozenset(range(last + 1, plan.count + 1))
    ahead_bytes = min(_AHEAD_BYTES, plan.segment_bytes // 8)
    following = min(end - 1 + ahead_bytes, plan.size_bytes - 1) // plan.segment_bytes + 1
    return frozenset({following}.difference(missing))
