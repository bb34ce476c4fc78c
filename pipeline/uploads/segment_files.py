"""Segments of an upload on the temp volume, and whether they still have the bytes that arrived."""

from __future__ import annotations

from pipeline.core.errors import SegmentCorrupt
from pipeline.core.segments import SegmentPlan
from pipeline.ports import SegmentSource, TempFiles


def segment_source(volume: TempFiles, upload_id: str, plan: SegmentPlan, number: int, crc32c: int) -> SegmentSource:
    """Segment `number` in the upload's temp file; reading it checks `crc32c`."""
    return volume.source(upload_id, number, plan.offset(number), plan.length(number), crc32c)


async def is_intact(source: SegmentSource) -> bool:
    """Read a whole segment and compare its crc32c. Raises TempVolumeError."""
    try:
        async for _ in source.chunks():
            pass
    except SegmentCorrupt:
        return False
    return True
