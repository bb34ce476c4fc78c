"""Probe: reads the metadata of a file as soon as the bytes are there that hold it, and mostly the thumbnail with it.

The reader requests the ranges that it needs, so metadata is known while most of the file is yet to arrive, wherever in
the file it lies; and a file that is not media fails at that point. A thumbnail that comes with the metadata finishes
stage `thumbnail` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipeline.core.errors import StoreError
from pipeline.core.media_types import recognised_type
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.ports import Frame, MediaReader, Stores
from pipeline.stages.reading import FileReads
from pipeline.stages.thumbnail import store_frame
from pipeline.uploads.bytes import FileBytes
from pipeline.uploads.permits import require_within
from schemas.media import MediaMetadata


class Probe:
    """The handler of stage `probe`. Its result is a `schemas.media.MediaMetadata`."""

    def __init__(self, files: FileReads, media: MediaReader, stores: Stores) -> None:
        self._files = files
        self._media = media
        self._stores = stores

    async def __call__(self, run: StageRun) -> Outcome:
        return await self._files.reading(run, partial(self._read, run))

    async def _read(self, run: StageRun, source: FileBytes) -> Outcome:
        reading = await self._media.read(source)
        await source.require_unchanged()
        _require_permitted(run, reading.metadata)
        return Done(reading.metadata.model_dump(mode="json"), also=await self._stored(run, reading.frame))

    async def _stored(self, run: StageRun, frame: Frame | None) -> Mapping[Stage, Mapping[str, Any] | None]:
        """The outcome of stage `thumbnail`; nothing where it has to run itself, also because the store is unavailable:
        metadata does not wait for the store."""
        if frame is None:
            return {}
        try:
            return {Stage.THUMBNAIL: await store_frame(self._stores, run.upload, frame)}
        except StoreError:
            return {}


def _require_permitted(run: StageRun, metadata: MediaMetadata) -> None:
    """Raises MediaError MEDIA_NOT_PERMITTED."""
    upload = run.upload
    if upload.permit is not None:
        content_type = recognised_type(upload.content_type, metadata.container, metadata.kind)
        require_within(upload.permit.media, metadata, content_type)
