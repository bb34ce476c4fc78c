"""Probe: reads the metadata of the whole temp file, wherever in the file it lies.

Guarantee: a file is rejected as not being media only after every byte of it could be read and it was probed once more.
The media tools take a read error for the end of the file, and a rejected file is deleted.
"""

from __future__ import annotations

from pipeline.core.errors import MediaError
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.ports import MediaProbe, TempFiles


class Probe:
    """The handler of stage `probe`."""

    def __init__(self, files: TempFiles, media: MediaProbe) -> None:
        self._files = files
        self._media = media

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        await self._files.verify(upload.upload_id, upload.size_bytes)
        path = self._files.path(upload.upload_id)
        try:
            metadata = await self._media.probe(path)
        except MediaError:
            await self._files.digest(upload.upload_id, "crc32c")  # raises if the disk cannot be read
            metadata = await self._media.probe(path)
        return Done(metadata.model_dump(mode="json"))
