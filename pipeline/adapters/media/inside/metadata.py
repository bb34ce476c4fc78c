"""Metadata of one untrusted media file.

Guarantee: any bytes give a valid `MediaMetadata` or raise NotMedia with a reason; nothing is decoded where headers
suffice, and reads are limited to headers, indexes and stretches of the content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from av.stream import Disposition
from av.stream import Stream as Source

from pipeline.adapters.media.inside import formats
from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.heif_items import Item, read_items
from pipeline.adapters.media.inside.images import ImageFile, read_image
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.iso_movie import read_movie
from pipeline.adapters.media.inside.length import length_seconds, stated_seconds
from pipeline.adapters.media.inside.length_fragments import read_fragmented
from pipeline.adapters.media.inside.limits import check_matroska, check_tags
from pipeline.adapters.media.inside.matroska_header import read_matroska
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation, of_degrees, of_heif
from pipeline.adapters.media.inside.printed import printed
from pipeline.adapters.media.inside.refused import MAX_PIXELS, NotMedia
from pipeline.adapters.media.inside.streams import Known, is_cover, stream_of, unread_stream
from pipeline.adapters.media.inside.tags import selected_tags
from pipeline.adapters.media.inside.unfinished import repaired
from pipeline.adapters.media.inside.values import count
from pipeline.adapters.media.inside.views import view
from schemas.media import MAX_STREAMS, MediaKind, MediaMetadata, VideoStream

_HEAD_BYTES = 4096
_COMPOSED = (b"grid", b"iovl")
_EBML = b"\x1a\x45\xdf\xa3"
_ISO_BEGINNINGS = (b"ftyp", b"styp", b"moov")


@dataclass(frozen=True, slots=True)
class Described:
    """`media`: the open file, for `picture`, since opening it again would decode its first frame again; of a fragmented
    one only its first fragments. None for what `picture` reads in another way."""

    metadata: MediaMetadata
    media: Opened | None


def describe(file: BinaryIO, size_bytes: int) -> MediaMetadata:
    """The metadata of `file`, whose length is `size_bytes`. Raises NotMedia."""
    with described(file, size_bytes) as found:
        return found.metadata


@contextmanager
def described(file: BinaryIO, size_bytes: int) -> Iterator[Described]:
    """The same, with the file open during the block. Raises NotMedia."""
    head = read_at(file, 0, _HEAD_BYTES)
    image = read_image(file, head, size_bytes)
    if image is not None:
        yield Described(_stills(file, head, size_bytes, image), None)
        return
    with _recording(file, head, size_bytes) as found:
        yield found


def _stills(file: BinaryIO, head: bytes, size_bytes: int, image: ImageFile) -> MediaMetadata:
    """The image as its first part shows it that libavformat can read."""
    for part in image.parts[:-1]:
        try:
            metadata = _still(file, part, head, size_bytes, image)
        except NotMedia:
            continue
        if metadata.picture is not None and metadata.picture.pixel_format is not None:
            return metadata
    return _still(file, image.parts[-1], head, size_bytes, image)


def _still(file: BinaryIO, part: BinaryIO, head: bytes, size_bytes: int, image: ImageFile) -> MediaMetadata:
    """The image as libavformat describes it when it reads `part`."""
    with opened(part) as media:
        container = formats.container_name(media.container.format.name, head)
        if container not in formats.IMAGES:
            raise NotMedia("it contains no known media format")
        return _image(file, media, container, size_bytes, image)


@contextmanager
def _recording(file: BinaryIO, head: bytes, size_bytes: int) -> Iterator[Described]:
    """A video or a sound; also a GIF, whose length only all of it shows."""
    turned: Sequence[Orientation] = ()
    if head.startswith(_EBML):
        matroska = read_matroska(file, size_bytes)
        check_matroska(matroska)
        turned = matroska.turned
    else:
        check_tags(file, size_bytes)
    fragmented = read_fragmented(file, size_bytes) if head[4:8] in _ISO_BEGINNINGS else None
    readable = repaired(file, size_bytes) if fragmented is None else view(file, [(0, fragmented.end)])
    with opened(readable) as media:
        container = formats.container_name(media.container.format.name, head)
        if container in formats.IMAGES:
            yield Described(_image(file, media, container, size_bytes, None), None)
            return
        movie = read_movie(file, size_bytes) if media.container.format.name.startswith("mov,") else {}
        sources = list(media.container.streams)[:MAX_STREAMS]
        streams = tuple(_streams(media, sources, movie, turned))
        moving = [stream for stream in streams if isinstance(stream, VideoStream) and not stream.attached_picture]
        if not moving and any(source.type == "video" and not is_cover(source) for source in sources):
            raise NotMedia("the size of its picture cannot be read")
        kind: MediaKind = "video" if moving else "audio"
        if kind == "audio" and not any(stream.type == "audio" for stream in streams):
            raise NotMedia("it contains neither pictures nor sound")
        duration = length_seconds(file, size_bytes, media, container, fragmented)
        metadata = _metadata(media, kind, container, duration, size_bytes, streams)
        is_complete = fragmented is None or fragmented.end <= size_bytes
        yield Described(metadata, media if kind == "video" and media.at_start and is_complete else None)


def _streams(
    media: Opened, sources: Sequence[Source], movie: Mapping[int, Orientation], turned: Sequence[Orientation]
) -> Iterator[Any]:
    """`movie` are the orientations by the tracks' numbers, `turned` those of the videos in the file's order."""
    in_order = iter(turned)
    more = printed(media.container)
    for source in sources:
        known = Known.of(more.get(source.index))
        if source.type == "video" and not is_cover(source):
            stated = movie.get(source.id) or next(in_order, UPRIGHT)
            known = replace(known, orientation=stated if stated != UPRIGHT else _tagged(source))
        if (stream := stream_of(source, known)) is not None:
            yield stream


def _tagged(source: Source) -> Orientation:
    """From the tag `rotate`, which counts clockwise; files that were converted years ago have it."""
    tags = {key.lower(): value for key, value in source.metadata.items()}
    try:
        return of_degrees(float(tags.get("rotate", "0")[:16]))
    except ValueError:
        return UPRIGHT


def _image(file: BinaryIO, media: Opened, container: str, size_bytes: int, image: ImageFile | None) -> MediaMetadata:
    """An image as one picture. The streams of HEIC and AVIF can be tiles and hidden thumbnails; the primary item is the
    picture, or the track if it is a sequence."""
    pictures = [source for source in media.container.streams if source.type == "video"]
    pictures.sort(key=lambda source: (source.frames < 2, not source.disposition & Disposition.default))
    if not pictures:
        unread = _without_decoder(file, size_bytes) if container in formats.ISO_IMAGES else None
        if unread is not None:
            return _metadata(media, "image", container, None, size_bytes, (unread,))
        raise NotMedia("it contains no picture")
    source = pictures[0]
    known = Known.of(printed(media.container).get(source.index))
    animated = stated_seconds(media) if source.frames > 1 else None
    if container in formats.ISO_IMAGES:
        items = read_items(file, size_bytes)
        item = items.by_number.get(items.main) if items else None
        if animated is not None:
            known = replace(known, orientation=read_movie(file, size_bytes).get(source.id, UPRIGHT))
        elif item is not None:
            known = _of_item(known, item)
    elif image is not None:
        header = image.header
        animated = header.animation_seconds or animated
        known = replace(
            known,
            width=header.width or known.width,
            height=header.height or known.height,
            pixel_format=header.pixel_format,
            bit_depth=header.bit_depth or known.bit_depth,
            orientation=header.orientation,
            frame_rate=header.frame_rate,
            colour=header.colour or known.colour,
        )
    stream = stream_of(source, replace(known, still=animated is None))
    if not isinstance(stream, VideoStream):
        raise NotMedia("the size of its picture cannot be read")
    return _metadata(media, "image", container, animated, size_bytes, (stream,))


def _without_decoder(file: BinaryIO, size_bytes: int) -> VideoStream | None:
    """The main item of a HEIF file, if libavformat knows no item's codec."""
    items = read_items(file, size_bytes)
    item = items.by_number.get(items.main) if items else None
    if item is None or item.size is None:
        return None
    depths = (item.stated(b"pixi") or b"")[5:]  # ISO/IEC 23008-12, 6.5.6: the bits of each channel
    return unread_stream(item.kind.decode("latin-1"), *item.size, max(depths, default=0), _turned(item))


def _turned(item: Item) -> Orientation:
    return of_heif((name, data[0]) for name, data in item.properties if data)


def _of_item(known: Known, item: Item) -> Known:
    """The main item: how it is turned, and its size if it is composed of others."""
    orientation = _turned(item)
    if item.kind not in _COMPOSED or item.size is None:
        return replace(known, orientation=orientation)
    width, height = item.size
    return replace(known, orientation=orientation, index=0, width=width, height=height, tiled=True)


def _metadata(
    media: Opened, kind: MediaKind, container: str, duration: float | None, size_bytes: int, streams: tuple[Any, ...]
) -> MediaMetadata:
    for stream in streams:
        if isinstance(stream, VideoStream) and stream.coded_width * stream.coded_height > MAX_PIXELS:
            size = f"{stream.coded_width} x {stream.coded_height}"
            raise NotMedia(f"a picture of {size} has more than {MAX_PIXELS // 10**6} million pixels")
    rate = None
    if duration is not None and duration > 0.001:
        stated = (
            media.container.bit_rate
            if media.container.size == size_bytes and duration == stated_seconds(media)
            else None
        )
        rate = count(stated) or count(round(size_bytes * 8 / duration))
    return MediaMetadata(
        kind=kind,
        container=container,
        duration_seconds=duration,
        bit_rate=rate,
        size_bytes=size_bytes,
        tags=selected_tags(media.container, of_image=kind == "image"),
        streams=streams,
    )
