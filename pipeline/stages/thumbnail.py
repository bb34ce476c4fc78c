"""Thumbnail: a representative frame as a small JPEG, stored beside the object. `probe` makes it where that is cheap.

A file whose frame takes too much CPU, or cannot be decoded, becomes a content without a thumbnail.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipeline.core.errors import MediaError, StageLost
from pipeline.core.model import Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import thumbnail_key
from pipeline.engine.contract import Done, Outcome, Skipped, StageRun
from pipeline.engine.drain import drained
from pipeline.logs import Log, logger
from pipeline.ports import Frame, MediaReader, StageResults, Stores
from pipeline.stages.reading import FileReads
from pipeline.stages.stored_object import stored_to_data
from pipeline.uploads.bytes import FileBytes
from schemas.media import MediaMetadata


class Thumbnail:
    """The handler of stage `thumbnail`. Its result is the stored thumbnail."""

    def __init__(self, files: FileReads, results: StageResults, media: MediaReader, stores: Stores) -> None:
        self._files = files
        self._results = results
        self._media = media
        self._stores = stores

    async def __call__(self, run: StageRun) -> Outcome:
        results = await self._results.results(run.upload.upload_id)
        if Stage.PROBE not in results:  # a segment has been invalidated since this run began
            raise StageLost("STAGE_LOST", stage=str(run.job.stage), upload_id=run.upload.upload_id)
        metadata = MediaMetadata.model_validate(results[Stage.PROBE])
        return await self._files.reading(run, partial(self._read, run, metadata))

    async def _read(self, run: StageRun, metadata: MediaMetadata, source: FileBytes) -> Outcome:
        try:
            frame = await self._media.thumbnail(source, metadata)
        except MediaError as error:
            await source.require_unchanged()
            log = logger(upload_id=run.upload.upload_id)
            log.warning(Log.THUMBNAIL_SKIPPED, code=error.code, reason=error.message)
            return Skipped()
        await source.require_unchanged()
        result = await store_frame(self._stores, run.upload, frame)
        return Skipped() if result is None else Done(result)


async def store_frame(stores: Stores, upload: Upload, frame: Frame) -> Mapping[str, Any] | None:
    """Store the thumbnail; the result of stage `thumbnail`, None if there is nothing to show. Raises StoreError."""
    if frame.jpeg is None:
        return None
    store = stores.named(upload.store)
    return stored_to_data(await drained(store.put_object(thumbnail_key(upload.upload_id), frame.jpeg, "image/jpeg")))
