"""How long a recording is, also where its header does not say so.

Guarantee: seconds, or None if nothing states or shows them; the reads are those of the modules `length_*`. A recording
that begins at another time than zero, as live ones do, lasts from its first to its last packet.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from av.stream import Stream

from pipeline.adapters.media.inside import length_fragments, length_matroska, length_tail
from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.iso_movie import sample_seconds
from pipeline.adapters.media.inside.length_fragments import Fragmented
from pipeline.adapters.media.inside.length_lossless import flac_seconds, wavpack_seconds
from pipeline.adapters.media.inside.length_ogg import link_starts
from pipeline.adapters.media.inside.length_packets import packets_seconds
from pipeline.adapters.media.inside.length_sampled import counted_seconds, first_stretch_seconds, scaled_seconds
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.values import seconds
from pipeline.adapters.media.inside.views import view

_LATE_SECONDS = 1.0  # a first packet later than this is a clock that did not begin with the recording
_CLOSE_SECONDS = 2.0
_AVI_HEAD_BYTES = 64 * 1024


def length_seconds(
    file: BinaryIO, size_bytes: int, media: Opened, container: str, fragmented: Fragmented | None
) -> float | None:
    """The length of the recording in `file`."""
    return _shown_seconds(file, size_bytes, media, container, fragmented) or stated_seconds(media)


def _shown_seconds(
    file: BinaryIO, size_bytes: int, media: Opened, container: str, fragmented: Fragmented | None
) -> float | None:
    """The length that the content shows where the header states none, or another clock; None for any other file."""
    stated = None if media.guessed_duration else stated_seconds(media)
    start = _start_seconds(media)
    unclear = stated is None or start > _LATE_SECONDS
    if fragmented is not None:
        return _between(start, length_fragments.end_seconds(file, size_bytes, fragmented.clocks), None)
    match container:
        case "mov" | "mp4" | "m4a" | "3gp" | "3g2" if stated is None:
            return seconds(sample_seconds(file, size_bytes))
        case "matroska" | "webm" if unclear:
            return _between(start, length_matroska.end_seconds(file, size_bytes), stated)
        case "flv" if unclear:
            return _between(start, length_tail.flv_end_seconds(file, size_bytes), stated)
        case "asf" if stated is None:
            return _between(start, length_tail.asf_end_seconds(file, size_bytes), None)
        case "ogg":
            return _ogg_seconds(file, size_bytes, media)
        case "flac" if stated is None:
            return seconds(flac_seconds(file, size_bytes, _context(media).extradata or b""))
        case "wv" if stated is None:
            return seconds(wavpack_seconds(file, size_bytes, _context(media).sample_rate))
        case "avi" if header_end := _unfinished_avi(file, size_bytes):
            return seconds(counted_seconds(file, size_bytes, "avi", header_end))
        case "mp3" | "aac" if media.guessed_duration:
            return seconds(counted_seconds(file, size_bytes, container, 0))
        case "amr" if media.guessed_duration:
            return seconds(first_stretch_seconds(file, size_bytes, container))
        case "mxf" if stated is None:
            return seconds(scaled_seconds(file, size_bytes, media))
    return None


def stated_seconds(media: Opened) -> float | None:
    """What the container states, or libavformat finds by itself; else the longest of the streams."""
    container = media.container
    if container.duration and (found := seconds(container.duration / 1_000_000)):
        return found
    found = None
    for stream in container.streams:
        length = _tagged_seconds(stream.metadata.get("DURATION"))
        if stream.duration and stream.time_base:
            length = seconds(stream.duration * stream.time_base) or length
        found = max(filter(None, (found, length)), default=None)
    return found


def _tagged_seconds(value: str | None) -> float | None:
    """A tag such as 00:01:02.500000000, which Matroska has."""
    parts = (value or "")[:32].split(":")
    try:
        hours, minutes, rest = (float(part) for part in parts)
    except ValueError:
        return None
    return seconds(hours * 3600 + minutes * 60 + rest)


def _start_seconds(media: Opened) -> float:
    return max(0.0, (media.container.start_time or 0) / 1_000_000)


def _between(start: float, end: float | None, stated: float | None) -> float | None:
    """From the first packet to the end of the last. A stated length that is not that end counts from the start."""
    if end is None or (stated is not None and abs(stated - end) > _CLOSE_SECONDS):
        return stated
    return seconds(end - start if start > _LATE_SECONDS else end)


def _context(media: Opened) -> Any:
    return media.container.streams[0].codec_context


def _ogg_seconds(file: BinaryIO, size_bytes: int, media: Opened) -> float | None:
    """The sum of the links if the file is a chain; None if a link of it cannot be read."""
    starts = link_starts(file, size_bytes)
    if len(starts) == 1:
        return _link_seconds(file, size_bytes, media)
    total = 0.0
    for start, end in zip(starts, [*starts[1:], size_bytes], strict=True):
        part = view(file, [(start, end - start)])
        try:
            with opened(part, "ogg") as link:
                total += _link_seconds(part, end - start, link) or 0.0
        except NotMedia:
            return None
    return seconds(total)


def _link_seconds(file: BinaryIO, size_bytes: int, link: Opened) -> float | None:
    """The length of one link. libavformat subtracts the start from the length for some codecs only, and finds no start
    for FLAC."""
    if _start_seconds(link) > _LATE_SECONDS or any(_is_flac(stream) for stream in link.container.streams):
        return seconds(packets_seconds(file, size_bytes, link)) or stated_seconds(link)
    return stated_seconds(link)


def _is_flac(stream: Stream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name == "flac"


def _unfinished_avi(file: BinaryIO, size_bytes: int) -> int | None:
    """Where the content begins, if the header was never completed: then its counts are placeholders."""
    head = read_at(file, 0, _AVI_HEAD_BYTES)
    declared = int.from_bytes(head[4:8], "little")
    if 8 < declared <= size_bytes:
        return None
    found = head.find(b"movi")
    return found + 4 if found >= 0 else None
