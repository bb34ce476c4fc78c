"""Metadata of one untrusted media file.

Guarantee: any bytes give a valid `MediaMetadata` or raise NotMedia with a reason; nothing is decoded where headers
suffice, and reads are limited to headers, indexes and samples of the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from av.stream import Disposition

from pipeline.adapters.media.inside import formats
from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.heif_item import read_main_item
from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.images import read_image_header
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.iso_movie import read_tracks
from pipeline.adapters.media.inside.length import length_seconds, stated_seconds
from pipeline.adapters.media.inside.length_fragments import Fragmented, read_fragmented
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.streams import Known, is_cover, stream_of
from pipeline.adapters.media.inside.tags import selected_tags
from pipeline.adapters.media.inside.unfinished import repaired
from pipeline.adapters.media.inside.values import count
from pipeline.adapters.media.inside.views import View
from schemas.media import MAX_STREAMS, MediaKind, MediaMetadata, VideoStream

MAX_PIXELS = 2**28
"""268 million: more than the largest camera pictures (200 million); as RGBA it is 1 GiB in memory."""

_HEAD_BYTES = 4096
_ISO_BEGINNINGS = (b"ftyp", b"styp", b"moov")


def describe(file: BinaryIO, size_bytes: int) -> MediaMetadata:
    """The metadata of `file`, whose length is `size_bytes`. Raises NotMedia."""
    head = read_at(file, 0, _HEAD_BYTES)
    fragmented = read_fragmented(file, size_bytes) if head[4:8] in _ISO_BEGINNINGS else None
    readable = repaired(file, size_bytes) if fragmented is None else View(file, [(0, fragmented.end)])
    with opened(readable) as media:
        container = formats.container_name(media.container.format.name, head)
        if container in formats.IMAGES:
            return _image(file, media, container, size_bytes)
        return _recording(file, media, container, size_bytes, fragmented)


def _recording(
    file: BinaryIO, media: Opened, container: str, size_bytes: int, fragmented: Fragmented | None
) -> MediaMetadata:
    """A video or a sound."""
    sources = list(media.container.streams)[:MAX_STREAMS]
    tracks = read_tracks(file, size_bytes) if media.container.format.name.startswith("mov,") else {}
    streams = []
    for source in sources:
        track = tracks.get(source.id)
        known = Known() if track is None else Known(orientation=track.orientation, dolby_vision=track.dolby_vision)
        if (stream := stream_of(source, known)) is not None:
            streams.append(stream)
    moving = [stream for stream in streams if isinstance(stream, VideoStream) and not stream.attached_picture]
    if not moving and any(source.type == "video" and not is_cover(source) for source in sources):
        raise NotMedia("the size of its picture cannot be read")
    kind: MediaKind = "video" if moving else "audio"
    if kind == "audio" and not any(stream.type == "audio" for stream in streams):
        raise NotMedia("it contains neither pictures nor sound")
    duration = length_seconds(file, size_bytes, media, container, fragmented)
    return _metadata(media, kind, container, duration, size_bytes, streams)


def _image(file: BinaryIO, media: Opened, container: str, size_bytes: int) -> MediaMetadata:
    """An image as one picture. The streams of HEIC and AVIF can be tiles and hidden thumbnails; the primary item is the
    picture."""
    pictures = [source for source in media.container.streams if source.type == "video"]
    pictures.sort(key=lambda source: not source.disposition & Disposition.default)
    if not pictures:
        raise NotMedia("it contains no picture")
    source = pictures[0]
    animated: float | None = None
    if container in formats.ISO_IMAGES:
        item = read_main_item(file, size_bytes)
        known = Known(orientation=item.orientation)
        if item.derived:
            known = Known(index=0, width=item.width, height=item.height, orientation=item.orientation, tiled=True)
        header = ImageHeader()
    else:
        header = read_image_header(file, container, size_bytes)
        known = Known(
            width=header.width, height=header.height, pixel_format=header.pixel_format, bit_depth=header.bit_depth,
            orientation=header.orientation, frame_rate=header.frame_rate,
        )  # fmt: skip
    animated = header.animation_seconds
    if animated is None and source.frames > 1:
        animated = stated_seconds(media)
    if animated is None:
        known = Known(**{**_fields(known), "still": True})
    stream = stream_of(source, known)
    if not isinstance(stream, VideoStream):
        raise NotMedia("the size of its picture cannot be read")
    return _metadata(media, "image", container, animated, size_bytes, [stream])


def _fields(known: Known) -> dict[str, Any]:
    return {name: getattr(known, name) for name in Known.__slots__}


def _metadata(
    media: Opened,
    kind: MediaKind,
    container: str,
    duration: float | None,
    size_bytes: int,
    streams: Sequence[Any],
) -> MediaMetadata:
    for stream in streams:
        if isinstance(stream, VideoStream) and stream.coded_width * stream.coded_height > MAX_PIXELS:
            size = f"{stream.coded_width} x {stream.coded_height}"
            raise NotMedia(f"a picture of {size} has more than {MAX_PIXELS // 10**6} million pixels")
    rate = None
    if duration is not None and duration > 0.001:
        known = media.container.bit_rate if duration == stated_seconds(media) else None
        rate = count(known) or count(round(size_bytes * 8 / duration))
    return MediaMetadata(
        kind=kind,
        container=container,
        duration_seconds=duration,
        bit_rate=rate,
        size_bytes=size_bytes,
        tags=selected_tags(media.container),
        streams=tuple(streams),
    )
