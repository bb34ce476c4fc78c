"""Stages that can be run again for stored contents: implementations of `ports.replays.Replayable`.

Guarantee: what they return for a file is what its upload would get today. They read with the same sandboxed reader, by
ranges, and write nothing.
"""

from __future__ import annotations

from pipeline.core.errors import MediaError
from pipeline.core.media_types import recognised_type
from pipeline.ports import ByteSource, MediaReader
from pipeline.ports.replays import Remade
from schemas.content import Content


class ProbeAgain:
    """Stage `probe`: the metadata, and the columns that follow from it."""

    def __init__(self, media: MediaReader) -> None:
        self._media = media

    async def __call__(self, content: Content, source: ByteSource) -> Remade:
        media = (await self._media.read(source)).metadata
        width, height = media.dimensions
        return Remade(
            {
                "media": media.model_dump_json(),
                "kind": media.kind,
                "duration_seconds": media.duration_seconds,
                "width": width,
                "height": height,
                "content_type": recognised_type(content.content_type, media.container, media.kind),
            }
        )


class ThumbnailAgain:
    """Stage `thumbnail`, with the metadata that the content has."""

    def __init__(self, media: MediaReader) -> None:
        self._media = media

    async def __call__(self, content: Content, source: ByteSource) -> Remade:
        frame = await self._media.thumbnail(source, content.media)
        if frame.jpeg is None and content.thumbnail is not None:
            # A crash or a lack of memory gives no picture either, which is no reason to remove one.
            raise MediaError("THUMBNAIL_KEPT", content_id=content.id)
        return Remade(frame=frame)
