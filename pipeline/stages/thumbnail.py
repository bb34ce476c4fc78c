"""Thumbnail: a representative frame as a small JPEG, stored beside the object."""

from __future__ import annotations

from pipeline.core.model import thumbnail_key
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, Skipped, StageRun
from pipeline.engine.drain import drained
from pipeline.ports import StageResults, Stores, TempFiles, Thumbnailer
from pipeline.stages.stored_object import stored_to_data
from schemas.media import MediaMetadata


class Thumbnail:
    """The handler of stage `thumbnail`. Its result is the stored thumbnail."""

    def __init__(self, results: StageResults, files: TempFiles, thumbnailer: Thumbnailer, stores: Stores) -> None:
        self._results = results
        self._files = files
        self._thumbnailer = thumbnailer
        self._stores = stores

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._files.verify(upload.upload_id, upload.size_bytes)
        results = await self._results.results(upload.upload_id)
        metadata = MediaMetadata.model_validate(results[Stage.PROBE])
        jpeg = await self._thumbnailer.thumbnail(self._files.path(upload.upload_id), metadata)
        if jpeg is None:
            if metadata.kind != "audio":
                await self._files.digest(upload.upload_id, "crc32c")  # raises if the disk is why no frame was found
            return Skipped()
        store = self._stores.named(upload.store)
        stored = await drained(store.put_object(thumbnail_key(upload.upload_id), jpeg, "image/jpeg"))
        return Done(stored_to_data(stored))
