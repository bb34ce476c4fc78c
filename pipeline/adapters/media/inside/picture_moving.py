"""A frame of a moving picture, or a cover.

Guarantee: the image has the asked size and mode RGB; it is not turned. The result is None if nothing can be decoded.
"""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import BinaryIO

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as Track
from PIL import Image

from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.length_fragments import read_fragmented
from pipeline.adapters.media.inside.picture_choice import Shows, what_shows
from pipeline.adapters.media.inside.picture_frame import image_of_frame
from pipeline.adapters.media.inside.picture_search import Search, sample_of_frame
from pipeline.adapters.media.inside.picture_still import still_picture
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.views import view
from schemas.media import MediaMetadata, VideoStream

_COVERS = {"mjpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff"}
_ISO_BEGINNINGS = (b"ftyp", b"styp", b"moov")
_DECODER_ERRORS = (FFmpegError, ValueError, LookupError, ArithmeticError, MemoryError, NotMedia)


def moving_picture(
    file: BinaryIO,
    metadata: MediaMetadata,
    stream: VideoStream,
    size: tuple[int, int],
    media: Opened | None = None,
) -> Image.Image | None:
    """The most typical frame of `stream` near the beginning, scaled to `size`. `media`: see `picture`."""
    frame: VideoFrame | None = None
    if (beginning := _first_fragments(file, metadata)) is not None:
        frame = _frame(beginning, metadata.model_copy(update={"duration_seconds": None}), stream, media)
        media = None
    try:
        if frame is None or what_shows(sample_of_frame(frame)) is not Shows.CONTENT:
            frame = _frame(file, metadata, stream, media) or frame
        if frame is None:
            return None
        return image_of_frame(frame, size, hdr=stream.hdr, still=metadata.kind == "image")
    except _DECODER_ERRORS:
        return None


def _frame(file: BinaryIO, metadata: MediaMetadata, stream: VideoStream, open_file: Opened | None) -> VideoFrame | None:
    """`open_file`: the same as `opened(file)` gives, if that was opened before."""
    try:
        with opened(file) if open_file is None else nullcontext(open_file) as media:
            track = _track(media.container, stream)
            return None if track is None else Search(media, track, metadata).frame()
    except _DECODER_ERRORS:
        return None


def _first_fragments(file: BinaryIO, metadata: MediaMetadata) -> BinaryIO | None:
    """The beginning of a fragmented file without an index: libavformat reads the header of every fragment when it opens
    such a file. None for any other file."""
    if read_at(file, 4, 4) not in _ISO_BEGINNINGS:
        return None
    fragmented = read_fragmented(file, metadata.size_bytes)
    if fragmented is None or fragmented.end >= metadata.size_bytes:
        return None
    return view(file, [(0, fragmented.end)])


def covering_picture(file: BinaryIO, stream: VideoStream, size: tuple[int, int]) -> Image.Image | None:
    """The attached picture `stream`, scaled to `size`; None if Pillow cannot read it."""
    if stream.codec not in _COVERS:
        return None
    try:
        with opened(file) as media:
            track = _track(media.container, stream)
            packet = None if track is None else next(media.packets(track), None)
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
