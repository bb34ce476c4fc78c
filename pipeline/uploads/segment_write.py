"""Writing a segment's bytes to the temp file, and recording it when all of them are there: for segments that arrive in
one request, and for those that are appended.

Guarantee: a segment is recorded after its bytes are as safe as the volume promises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import google_crc32c

from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError
from pipeline.core.model import Upload
from pipeline.ports import SegmentVerdict
from pipeline.telemetry import RECEIVED_BYTES
from pipeline.uploads.cell import CellState
from pipeline.uploads.room import SegmentRoom, window_full


class SegmentWrite:
    """Segments of uploads on one temp volume. Errors: TempVolumeError, DependencyUnavailable."""

    def __init__(self, cell: CellState, room: SegmentRoom) -> None:
        self._cell = cell
        self._room = room

    async def write(self, upload: Upload, number: int, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        """Write blocks at an offset of a segment; the crc32c extended over them. If the temp file is gone although the
        upload is in flight (its volume was emptied), it is allocated again. Raises UploadEnded."""
        volume, start = self._cell.volume, upload.plan.offset(number) + offset
        try:
            return await volume.write(upload.upload_id, start, blocks, crc32c)
        except TempVolumeError as error:
            if error.code != "TEMP_FILE_MISSING":
                raise
        await self._room.recreate(upload, number)
        return await volume.write(upload.upload_id, start, blocks, crc32c)

    async def record(
        self,
        upload: Upload,
        number: int,
        crc32c: int,
        token: str,
        appender: str | None = None,
        md5_hex: str = "",
    ) -> SegmentVerdict:
        """Record a segment whose bytes are written, and enqueue the jobs that follow. `md5_hex`: what its client has
        announced, for the store to compare. Not accepted: it had arrived
        before, the upload takes no segments, or another request appends. Raises RequestError SEGMENT_DIFFERS,
        SEGMENT_WINDOW_FULL."""
        cell, upload_id, size_bytes = self._cell, upload.upload_id, upload.plan.length(number)
        await cell.volume.flush(upload_id)
        verdict = await cell.record.segment_received(upload_id, number, size_bytes, crc32c, token, appender, md5_hex)
        with suppress(DependencyUnavailable):  # the segment is recorded: its jobs come back as overdue stages
            for job in verdict.jobs:
                await cell.queue.enqueue(job)
        if verdict.refused == "differs":
            raise RequestError("SEGMENT_DIFFERS", number=number)
        if verdict.refused == "unclaimed":
            raise window_full(number)
        if verdict.accepted:
            RECEIVED_BYTES.inc(size_bytes)
        return verdict


async def only_check(offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
    """Used instead of writing for a segment that has arrived before."""
    return await asyncio.to_thread(_extend, crc32c, blocks)


def _extend(crc32c: int, blocks: Sequence[bytes]) -> int:
    for block in blocks:
        crc32c = google_crc32c.extend(crc32c, block)
    return crc32c
