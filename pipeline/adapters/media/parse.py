"""Converts ffprobe's JSON, and the beginning of the file, into `MediaMetadata`. Pure.

Guarantee: any JSON gives a valid `MediaMetadata` or raises MediaError NOT_MEDIA with a reason; nothing else is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.adapters.media.image_header import ImageHeader
from pipeline.adapters.media.inside import formats
from pipeline.adapters.media.parse_streams import stream_of
from pipeline.adapters.media.values import count, mapping, mappings, number, pixels, seconds, text
from pipeline.core.errors import MediaError
from schemas.media import MAX_STREAMS, MediaKind, MediaMetadata, VideoStream

MAX_PIXELS = 2**28
"""268 million: more than the largest camera pictures (200 million); as RGBA it is 1 GiB in memory."""

_TAGS = (
    "title", "artist", "album", "album_artist", "composer", "genre", "track", "date", "creation_time",
    "comment", "copyright", "encoder", "make", "model", "software",
)  # fmt: skip
_TIMED_BY_HEADER = ("png", "webp", "jpeg")
_APPLE = "com.apple.quicktime."  # phones write make, model and software with this prefix


def build_metadata(
    probe: Any, *, size_bytes: int, head: bytes = b"", image: ImageHeader | None = None
) -> MediaMetadata:
    """`probe` is the parsed JSON of `-show_format -show_streams -show_stream_groups`, `head` the first kilobytes of
    the file, and `image` its image header, if it has one, which supplies what this build of ffprobe could not read.
    Raises MediaError NOT_MEDIA."""
    form = mapping(mapping(probe).get("format"))
    format_name = text(form.get("format_name"), 128) or ""
    if not format_name:
        raise MediaError("NOT_MEDIA", reason="its format is not known")
    if (number(form.get("probe_score")) or 0) < formats.MINIMUM_PROBE_SCORE.get(format_name, 1):
        raise MediaError("NOT_MEDIA", reason="its content only resembles a media format")
    container = formats.container_name(format_name, head)
    raw_streams = mappings(mapping(probe).get("streams"), MAX_STREAMS)
    if container in formats.IMAGES:
        return _image(form, container, probe, raw_streams, size_bytes, image)

    streams = tuple(stream for raw in raw_streams if (stream := stream_of(raw)) is not None)
    moving = [stream for stream in streams if isinstance(stream, VideoStream) and not stream.attached_picture]
    if not moving and any(_is_moving(raw) for raw in raw_streams):
        raise MediaError("NOT_MEDIA", reason="the size of its picture cannot be read")
    kind: MediaKind = "video" if moving else "audio"
    if kind == "audio" and not any(stream.type == "audio" for stream in streams):
        raise MediaError("NOT_MEDIA", reason="it contains neither pictures nor sound")
    _check_size(streams)
    duration = seconds(form.get("duration")) or max(
        (length for raw in raw_streams if (length := _stream_seconds(raw))), default=None
    )
    return _metadata(form, raw_streams, kind, container, duration, size_bytes, streams)


def with_duration(metadata: MediaMetadata, duration_seconds: float) -> MediaMetadata:
    """`metadata` with another duration, and with the bit rate that results from it if none is known."""
    rate = metadata.bit_rate or _average_rate(metadata.size_bytes, duration_seconds)
    return metadata.model_copy(update={"duration_seconds": duration_seconds, "bit_rate": rate})


def _image(
    form: Mapping[str, Any],
    container: str,
    probe: Any,
    raw_streams: Sequence[Mapping[str, Any]],
    size_bytes: int,
    header: ImageHeader | None,
) -> MediaMetadata:
    """An image as one picture. The streams of HEIC and AVIF can be tiles and hidden thumbnails; the tile grid or the
    main item is the picture."""
    pictures = sorted((raw for raw in raw_streams if raw.get("codec_type") == "video"), key=_hidden)
    if not pictures:
        raise MediaError("NOT_MEDIA", reason="it contains no picture")
    raw = pictures[0]
    animated = header.animation_seconds if header else None
    if container not in _TIMED_BY_HEADER and (count(raw.get("nb_frames")) or 0) > 1:
        animated = seconds(form.get("duration")) or seconds(raw.get("duration"))
    fixed = {**raw, **(header.overrides() if header else {})}
    tiled = _tiled_size(probe)
    if tiled is not None:
        group, width, height = tiled
        fixed.update(index=group, width=width, height=height)
    if animated is None:
        fixed.update(r_frame_rate=None, avg_frame_rate=None, bit_rate=None)
    stream = stream_of(fixed, tiled=tiled is not None)
    if not isinstance(stream, VideoStream):
        raise MediaError("NOT_MEDIA", reason="the size of its picture cannot be read")
    _check_size((stream,))
    return _metadata(form, raw_streams, "image", container, animated, size_bytes, (stream,))


def _hidden(raw: Mapping[str, Any]) -> bool:
    """Whether this is a tile, a preview or a depth map: only the main item is marked as default."""
    return not count(mapping(raw.get("disposition")).get("default"))


def _tiled_size(probe: Any) -> tuple[int, int, int] | None:
    """Index, width and height of the main tile grid; None if there is none."""
    groups = [group for group in mappings(mapping(probe).get("stream_groups"), 64) if group.get("type") == "Tile Grid"]
    for group in sorted(groups, key=_hidden):
        for grid in mappings(group.get("components"), 1):
            width, height = pixels(grid.get("width")), pixels(grid.get("height"))
            if width and height:
                return min(count(group.get("index")) or 0, 2**31), width, height
    return None


def _metadata(
    form: Mapping[str, Any],
    raw_streams: Sequence[Mapping[str, Any]],
    kind: MediaKind,
    container: str,
    duration: float | None,
    size_bytes: int,
    streams: tuple[Any, ...],
) -> MediaMetadata:
    rate = None if duration is None else count(form.get("bit_rate")) or _average_rate(size_bytes, duration)
    return MediaMetadata(
        kind=kind,
        container=container,
        duration_seconds=duration,
        bit_rate=rate,
        size_bytes=size_bytes,
        tags=_tags(form, raw_streams),
        streams=streams,
    )


def _tags(form: Mapping[str, Any], raw_streams: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The file's tags. In Ogg they belong to the first stream."""
    found: dict[str, str] = {}
    for source in (form, *raw_streams[:1]):
        for key, value in mapping(source.get("tags")).items():
            name = str(key).lower().removeprefix(_APPLE).replace("creationdate", "creation_time")
            if name in _TAGS and name not in found and (words := text(value)):
                found[name] = words
    return {name: found[name] for name in _TAGS if name in found}


def _is_moving(raw: Mapping[str, Any]) -> bool:
    return raw.get("codec_type") == "video" and not count(mapping(raw.get("disposition")).get("attached_pic"))


def _stream_seconds(raw: Mapping[str, Any]) -> float | None:
    """The duration of a stream: a field in most formats, a tag such as 00:01:02.500000000 in Matroska."""
    if length := seconds(raw.get("duration")):
        return length
    parts = (text(mapping(raw.get("tags")).get("DURATION"), 32) or "").split(":")
    if len(parts) != 3:
        return None
    hours, minutes, rest = (number(part) for part in parts)
    if hours is None or minutes is None or rest is None:
        return None
    return seconds(hours * 3600 + minutes * 60 + rest)


def _average_rate(size_bytes: int, duration: float) -> int | None:
    return count(round(size_bytes * 8 / duration)) if duration > 0.001 else None


def _check_size(streams: Sequence[Any]) -> None:
    for stream in streams:
        if isinstance(stream, VideoStream) and stream.coded_width * stream.coded_height > MAX_PIXELS:
            size = f"{stream.coded_width} x {stream.coded_height}"
            raise MediaError(
                "NOT_MEDIA", reason=f"a picture of {size} has more than {MAX_PIXELS // 10**6} million pixels"
            )
