"""Assemble: makes sure that a complete local file is there.

For segments that came through the gateway nothing is copied: they were written to their own offsets. What is left to
check is that every segment is here, that the file has its length, and, where the client announced a digest of the whole
file, that it holds.
"""

from __future__ import annotations

from pipeline.core.errors import MediaError, TempVolumeError
from pipeline.ports import SegmentBoard, TempVolume
from pipeline.stages.run import Done, Outcome, StageRun


class Assemble:
    """The handler of stage `assemble`."""

    def __init__(self, segments: SegmentBoard, volume: TempVolume) -> None:
        self._segments = segments
        self._volume = volume

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        if len(await self._segments.received(upload.upload_id)) != upload.plan.count:
            raise TempVolumeError("TEMP_FILE_MISSING")
        digest = upload.digest
        if digest and await self._volume.digest(upload.upload_id, digest.algorithm) != digest.value:
            raise MediaError("FILE_DIGEST_WRONG", algorithm=digest.algorithm)
        return Done()
