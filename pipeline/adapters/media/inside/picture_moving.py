"""A frame of a moving picture, or a cover.

Guarantee: the image has the asked size and mode RGB; it is not turned. The result is None if nothing can be decoded.
"""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard
from av.video.stream import VideoStream as Track
from PIL import Image

from pipeline.adapters.media.inside.demuxer import opened
from pipeline.adapters.media.inside.metered import Metered
from pipeline.adapters.media.inside.picture_frame import image_of_frame
from pipeline.adapters.media.inside.picture_search import Search
from pipeline.adapters.media.inside.picture_still import still_picture
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MediaMetadata, VideoStream

_COVERS = {"mjpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff"}
_DECODER_ERRORS = (FFmpegError, ValueError, LookupError, ArithmeticError, MemoryError, NotMedia)


def moving_picture(
    file: BinaryIO, metadata: MediaMetadata, stream: VideoStream, size: tuple[int, int]
) -> Image.Image | None:
    """The most typical frame of `stream` near the beginning, scaled to `size`."""
    metered = Metered(file)
    try:
        with opened(cast(BinaryIO, metered)) as media:
            track = _track(media.container, stream)
            if track is None:
                return None
            frame = Search(media.container, track, metered, metadata).frame()
            return (
                None if frame is None else image_of_frame(frame, size, hdr=stream.hdr, still=metadata.kind == "image")
            )
    except _DECODER_ERRORS:
        return None


def covering_picture(file: BinaryIO, stream: VideoStream, size: tuple[int, int]) -> Image.Image | None:
    """The attached picture `stream`, scaled to `size`; None if Pillow cannot read it."""
    if stream.codec not in _COVERS:
        return None
    try:
        with opened(file) as media:
            track = _track(media.container, stream)
            packet = None if track is None else next(iter(media.container.demux(track)), None)
            if packet is None:
                return None
            return still_picture(io.BytesIO(bytes(packet)), _COVERS[stream.codec], stream, size)
    except _DECODER_ERRORS:
        return None


def _track(container: InputContainer, stream: VideoStream) -> Track | None:
    """The track of `stream`, ready to decode; the demuxer skips all others. None if there is no decoder."""
    found: Track | None = None
    for track in container.streams:
        if track.index == stream.index and isinstance(track, Track):
            found = track
        else:
            track.discard = Discard.all
    if found is None or found.codec_context is None:
        return None
    found.codec_context.thread_count = 1
    return found
