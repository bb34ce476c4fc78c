"""Assemble: makes sure that a complete local file is there.

For segments that came through the gateway nothing is copied: they were written to their own offsets. What is left to
check is that every segment is here with the bytes that it arrived with, that the file has its length, and, where the
client announced a digest of the whole file, that it holds. What lies in the store already is fetched first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import MediaError, SegmentCorrupt, TempVolumeError
from pipeline.core.model import Upload
from pipeline.core.transports import TRANSPORTS
from pipeline.engine.contract import Done, Outcome, Requeue, StageRun
from pipeline.ports import SegmentBoard, TempVolume
from pipeline.stages.fetch import Fetcher
from pipeline.stages.stored_object import stored_to_data
from pipeline.uploads.recall import Recall


class Assemble:
    """The handler of stage `assemble`. Leaves the object that it has fetched, where it had to."""

    def __init__(self, segments: SegmentBoard, volume: TempVolume, fetcher: Fetcher, recall: Recall) -> None:
        self._segments = segments
        self._volume = volume
        self._fetcher = fetcher
        self._recall = recall

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        result: Mapping[str, Any] | None = None
        if TRANSPORTS[upload.transport].in_store:
            fetched = await self._fetcher.fetch(run)
            if fetched is None:
                return Requeue()
            result = stored_to_data(fetched)
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        received = await self._segments.received(upload.upload_id)
        if len(received) != upload.plan.count:
            raise TempVolumeError("TEMP_FILE_MISSING")
        if not TRANSPORTS[upload.transport].in_store:
            await self._check(upload, received)
        digest = upload.digest
        if digest and await self._volume.digest(upload.upload_id, digest.algorithm) != digest.value:
            raise MediaError("FILE_DIGEST_WRONG", algorithm=digest.algorithm)
        return Done(result)

    async def _check(self, upload: Upload, received: Mapping[int, int]) -> None:
        """Whoever reads the file from now on, reads what arrived. Raises SegmentCorrupt when a segment had to be
        recalled."""
        corrupt: SegmentCorrupt | None = None
        for number, crc32c in sorted(received.items()):
            offset, size_bytes = upload.plan.offset(number), upload.plan.length(number)
            try:
                async for _ in self._volume.source(upload.upload_id, number, offset, size_bytes, crc32c).chunks():
                    pass
            except SegmentCorrupt as error:
                await self._recall.segment(upload.upload_id, number, crc32c)
                corrupt = error
        if corrupt:
            raise corrupt
