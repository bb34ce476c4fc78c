"""Probe: reads the metadata of the whole local file, wherever in it the metadata lies."""

from __future__ import annotations

from pipeline.ports import MediaProbe, TempVolume
from pipeline.stages.run import Done, Outcome, StageRun


class Probe:
    """The handler of stage `probe`."""

    def __init__(self, volume: TempVolume, media: MediaProbe) -> None:
        self._volume = volume
        self._media = media

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        metadata = await self._media.probe(self._volume.path(upload.upload_id))
        return Done(metadata.model_dump(mode="json"))
