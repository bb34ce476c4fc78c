"""Assemble: makes sure that a complete local file is there.

For segments that came through the gateway nothing is copied: they were written to their own offsets. What is left to
check is that every segment is here, that the file has its length, and, where the client announced a digest of the whole
file, that it holds. What lies in the store already is fetched first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import MediaError, TempVolumeError
from pipeline.core.transports import TRANSPORTS
from pipeline.ports import SegmentBoard, TempVolume
from pipeline.stages.fetch import Fetcher
from pipeline.stages.run import Done, HandBack, Outcome, StageRun
from pipeline.stages.stored import stored_to_data


class Assemble:
    """The handler of stage `assemble`. Leaves the object that it has fetched, where it had to."""

    def __init__(self, segments: SegmentBoard, volume: TempVolume, fetcher: Fetcher) -> None:
        self._segments = segments
        self._volume = volume
        self._fetcher = fetcher

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        result: Mapping[str, Any] | None = None
        if TRANSPORTS[upload.transport].in_store:
            fetched = await self._fetcher.fetch(run)
            if fetched is None:
                return HandBack()
            result = stored_to_data(fetched)
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        if len(await self._segments.received(upload.upload_id)) != upload.plan.count:
            raise TempVolumeError("TEMP_FILE_MISSING")
        digest = upload.digest
        if digest and await self._volume.digest(upload.upload_id, digest.algorithm) != digest.value:
            raise MediaError("FILE_DIGEST_WRONG", algorithm=digest.algorithm)
        return Done(result)
