"""What is not known when an upload is created. Pure functions.

Deferred plans: direct uploads whose client decides how long segments are, and says how large the file is only when it
has sent them all. Uppy's S3 multipart is such a client. Deferred lengths: files that come through the gateway and whose
length their client announces later (tus, the IETF draft); see `uploads.append_length`.

Guarantee: a deferred plan is made of what the store holds and of nothing else, and a file is accepted only if it is
one that could have been created with this plan. Until then, what is known of the size counts towards the owner's
limits: every segment before the last has `SHORTEST_BYTES` at least, or else the size becomes exact when the upload is
complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.core.access import Permit
from pipeline.core.errors import RequestError
from pipeline.core.model import Deferred, Upload
from pipeline.core.segments import MEBIBYTE, SegmentPlan, StoreLimits, to_ranges
from pipeline.core.stored_objects import StoredSegment

SHORTEST_BYTES: Final = 5 * MEBIBYTE
"""S3 accepts no shorter part before the last one, so these clients send none, whatever the store is."""

_NAMED = 100


def most_bytes(setting_bytes: int, limits: StoreLimits, permit: Permit | None) -> int:
    """How large a file may become whose length is not known when its upload is created."""
    allowed = permit.max_size_bytes if permit else None
    return min(setting_bytes, limits.max_object_bytes, setting_bytes if allowed is None else allowed)


def announced_length(
    offset: int, body_bytes: int | None, size_bytes: int | None, *, ends: bool, most: int
) -> int | None:
    """The length of a file as a request announces it that appends to it; None: it does not. `body_bytes`: of its body,
    if that is known; `ends`: the body ends the file; `size_bytes`: the length that it names; `most`: what the file may
    have. Raises RequestError UPLOAD_LENGTH_DIFFERS, APPEND_TOO_LONG, DEFERRED_TOO_LARGE, VALIDATION_FAILED."""
    end = None if body_bytes is None else offset + body_bytes
    length = end if ends and size_bytes is None else size_bytes
    if max(length or 0, end or 0) > most:
        raise RequestError("DEFERRED_TOO_LARGE", limit_bytes=most)
    if length is None:
        return None
    if end is not None and end > length:
        raise RequestError("APPEND_TOO_LONG", size_bytes=length, end_bytes=end)
    if ends and end not in (None, length):
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=length, announced_bytes=end)
    if length == 0:
        raise RequestError("VALIDATION_FAILED", fields=[{"field": "size", "message": "an empty file is no media"}])
    return length


def known_bytes(upload: Upload, number: int, limits: StoreLimits) -> int:
    """What is known of the size of a file that has a segment `number`. Raises RequestError SEGMENT_OUT_OF_RANGE."""
    last = limits.max_segments
    if upload.deferred is Deferred.PLAN:
        last = min(last, SegmentPlan(upload.size_bytes, upload.segment_bytes).count)
    if not 1 <= number <= last:
        raise RequestError("SEGMENT_OUT_OF_RANGE", number=number, segment_count=last)
    return max(upload.size_bytes, (number - 1) * upload.segment_bytes + 1)


def require_acknowledged(sent: Mapping[int, str], held: Mapping[int, StoredSegment]) -> None:
    """Compare what the store acknowledged to the client, number -> ETag, with what it holds. Raises RequestError
    SEGMENTS_MISSING."""
    numbers = range(1, max(sent, default=1) + 1)
    bad = [n for n in numbers if n not in held or sent.get(n, "").strip('"').lower() != held[n].etag.lower()]
    if bad:
        raise RequestError("SEGMENTS_MISSING", missing=to_ranges(bad)[:_NAMED], wrong=[])


def plan_of(upload: Upload, segments: Sequence[StoredSegment], limits: StoreLimits) -> SegmentPlan:
    """The plan that these segments, in order, are the result of. Raises RequestError SEGMENTS_MISSING,
    SEGMENTS_UNEVEN, FILE_TOO_LARGE_FOR_STORE."""
    numbers = [segment.number for segment in segments]
    gaps = set(range(1, max(numbers, default=1) + 1)).difference(numbers)
    if gaps:
        raise RequestError("SEGMENTS_MISSING", missing=to_ranges(gaps)[:_NAMED], wrong=[])
    *before, last = [segment.size_bytes for segment in segments]
    segment_bytes, size_bytes = before[0] if before else last, sum(before) + last
    if size_bytes > limits.max_object_bytes:
        raise RequestError("FILE_TOO_LARGE_FOR_STORE", size_bytes=size_bytes, limit_bytes=limits.max_object_bytes)
    for reason in _faults(upload, before, last, limits):
        raise RequestError("SEGMENTS_UNEVEN", reason=reason)
    return SegmentPlan(size_bytes, segment_bytes)


def _faults(upload: Upload, before: Sequence[int], last: int, limits: StoreLimits) -> Sequence[str]:
    found: list[str] = []
    for number, size_bytes in enumerate(before, 1):
        if size_bytes != before[0]:
            found.append(f"segment {number} has {size_bytes} bytes, and segment 1 has {before[0]}")
    if before and last > before[0]:
        found.append(f"the last segment has {last} bytes, more than the {before[0]} of the others")
    if not last:
        found.append(f"segment {len(before) + 1} is empty")
    if before and before[0] < limits.min_segment_bytes:
        found.append(f"segments have {before[0]} bytes, and the store joins none below {limits.min_segment_bytes}")
    if upload.deferred is Deferred.PLAN and sum(before) + last != upload.size_bytes:
        found.append(f"they have {sum(before) + last} bytes, and a file of {upload.size_bytes} was announced")
    return found
