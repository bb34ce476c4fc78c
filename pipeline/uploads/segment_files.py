"""Segments of an upload on the temp volume, and whether they still have the bytes that arrived."""

from __future__ import annotations

import hashlib

from pipeline.core.segments import SegmentPlan
from pipeline.ports import SegmentSource, TempFiles


def segment_source(
    volume: TempFiles, upload_id: str, plan: SegmentPlan, number: int, crc32c: int, md5_hex: str = ""
) -> SegmentSource:
    """Segment `number` in the upload's temp file; reading it checks `crc32c`. `md5_hex`: what its client has announced,
    for the store to compare."""
    return volume.source(upload_id, number, plan.offset(number), plan.length(number), crc32c, md5_hex)


async def is_intact(volume: TempFiles, upload_id: str, plan: SegmentPlan, number: int, crc32c: int) -> bool:
    """Read a whole segment and compare its crc32c. Raises TempVolumeError."""
    return await volume.crc32c(upload_id, plan.offset(number), plan.length(number)) == crc32c


async def has_announced_md5(source: SegmentSource) -> bool:
    """Read a whole segment and compare its MD5 with the one that its client has announced. Raises SegmentCorrupt,
    TempVolumeError."""
    digest = hashlib.md5(usedforsecurity=False)
    async for _ in source.chunks(digest):
        pass
    return digest.hexdigest() == source.md5_hex
