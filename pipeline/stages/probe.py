"""Probe: reads the metadata of the whole local file, wherever in it the metadata lies.

Guarantee: a file is called no media only after every byte of it could be read and it was looked at once more. The media
tools take a disk that fails for the end of the file, and what is no media is thrown away for good.
"""

from __future__ import annotations

from pipeline.core.errors import MediaError
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.ports import MediaProbe, TempVolume


class Probe:
    """The handler of stage `probe`."""

    def __init__(self, volume: TempVolume, media: MediaProbe) -> None:
        self._volume = volume
        self._media = media

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._volume.verify(upload.upload_id, upload.size_bytes)
        path = self._volume.path(upload.upload_id)
        try:
            metadata = await self._media.probe(path)
        except MediaError:
            await self._volume.digest(upload.upload_id, "crc32c")
            metadata = await self._media.probe(path)
        return Done(metadata.model_dump(mode="json"))
