"""Thumbnail: a representative frame as a small JPEG, put into the store beside the object."""

from __future__ import annotations

from pipeline.core.model import thumbnail_key
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, Skipped, StageRun
from pipeline.engine.drain import landed
from pipeline.ports import StageBoard, Stores, TempVolume, Thumbnailer
from pipeline.stages.stored_object import stored_to_data
from schemas.media import MediaMetadata


class Thumbnail:
    """The handler of stage `thumbnail`."""

    def __init__(self, stages: StageBoard, volume: TempVolume, thumbnailer: Thumbnailer, stores: Stores) -> None:
        self._stages = stages
        self._volume = volume
        self._thumbnailer = thumbnailer
        self._stores = stores

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        results = await self._stages.results(upload.upload_id)
        metadata = MediaMetadata.model_validate(results[Stage.PROBE])
        jpeg = await self._thumbnailer.thumbnail(self._volume.path(upload.upload_id), metadata)
        if jpeg is None:
            if metadata.kind != "audio":  # no frame could be read: if that is the disk's fault, this raises
                await self._volume.digest(upload.upload_id, "crc32c")
            return Skipped()
        store = self._stores.named(upload.store)
        stored = await landed(store.put_object(thumbnail_key(upload.upload_id), jpeg, "image/jpeg"))
        return Done(stored_to_data(stored))
