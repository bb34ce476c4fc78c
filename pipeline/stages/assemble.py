"""Assemble: makes sure that a complete temp file exists.

Segments that came through the gateway are not copied: they were written to their own offsets. Assemble checks that
every segment still has the bytes that arrived, that the file has its length, and that the digest of the whole file
matches if the client announced one. An object that is in the store already is fetched first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import MediaError, SegmentCorrupt, TempVolumeError
from pipeline.core.model import Upload
from pipeline.core.transports import TRANSPORTS
from pipeline.engine.contract import Done, Outcome, Requeue, StageRun
from pipeline.stages.fetch import Fetcher
from pipeline.stages.stored_object import stored_to_data
from pipeline.uploads.cell import CellState
from pipeline.uploads.invalidate import invalidate_segment
from pipeline.uploads.segment_files import is_intact, segment_source


class Assemble:
    """The handler of stage `assemble`. Its result is the object that it fetched, if it fetched one."""

    def __init__(self, cell: CellState, fetcher: Fetcher) -> None:
        self._cell = cell
        self._fetcher = fetcher

    async def __call__(self, run: StageRun) -> Outcome:
        upload, volume = run.upload, self._cell.volume
        in_store = TRANSPORTS[upload.transport].in_store
        result: Mapping[str, Any] | None = None
        if in_store:
            fetched = await self._fetcher.fetch(run)
            if fetched is None:
                return Requeue()
            result = stored_to_data(fetched)
        await volume.verify(upload.upload_id, upload.size_bytes)
        received = await self._cell.segments.received(upload.upload_id)
        if len(received) != upload.plan.count:
            raise TempVolumeError("TEMP_FILE_MISSING")
        if not in_store:
            await self._check(upload, received)
        digest = upload.digest
        if digest and await volume.digest(upload.upload_id, digest.algorithm) != digest.value:
            raise MediaError("FILE_DIGEST_WRONG", algorithm=digest.algorithm)
        return Done(result)

    async def _check(self, upload: Upload, received: Mapping[int, int]) -> None:
        """Later stages read the bytes that arrived. Raises SegmentCorrupt if a segment had to be invalidated."""
        corrupt: SegmentCorrupt | None = None
        for number, crc32c in sorted(received.items()):
            if not await is_intact(segment_source(self._cell.volume, upload.upload_id, upload.plan, number, crc32c)):
                await invalidate_segment(self._cell, upload.upload_id, number, crc32c)
                corrupt = SegmentCorrupt(number)
        if corrupt:
            raise corrupt
