"""The search for a frame that shows something.

Guarantee: `Search.frame` returns a decoded frame, or None if none can be decoded. It decodes a bounded number of pixels
and reads a bounded number of bytes; a black frame is the result only if no other one was found within the limits.

It seeks to a tenth of the duration (at most 60 s) and decodes from the keyframe before that. Of about 24 frames from
there it takes the most typical one. If all are black or of one colour, as in an intro, it looks at other places, then
at the frames from the start on, since there may be no keyframe where the intro ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream as Track
from numpy.typing import NDArray

from pipeline.adapters.media.inside.demuxer import Opened
from pipeline.adapters.media.inside.picture_choice import (
    SAMPLE_EDGE_PIXELS,
    Shows,
    frame_limit,
    most_typical,
    what_shows,
)
from schemas.media import MediaMetadata

_LATEST_FIRST_SECONDS = 60.0
_OTHER_PLACES = (0.0, 0.5, 0.3, 0.7, 0.9, 0.2, 0.4, 0.6, 0.8, 0.97)
_FRAMES_PER_PLACE = 3
_SEARCHED_PIXELS = 4_000_000_000  # of all frames from the start on: 80 seconds of 1080p
_SEARCH_CPU_SECONDS = 8.0  # black frames take little time to decode
_SEARCH_STEP = 5  # one in five of them is looked at
_BEFORE_START_SECONDS = 10.0  # the first packet may be earlier than the first frame
_SEEK_BYTES = 1024 * 1024
_FIRST_FRAME_BYTES = 128 * 1024 * 1024  # uncompressed 8K takes 100 MB
_MORE_FRAMES_BYTES = 256 * 1024
_SEARCH_BYTES = 32 * 1024 * 1024
_MAX_DAMAGED_PACKETS = 100
_MAX_PACKETS_WITHOUT_KEYFRAME = 300  # after a seek without an index


class Search:
    """The search in one track."""

    def __init__(self, media: Opened, track: Track, metadata: MediaMetadata) -> None:
        """`media` is at its start."""
        self._media, self._container, self._track, self._file = media, media.container, track, media.file
        self._duration_seconds = metadata.duration_seconds
        self._size_bytes = metadata.size_bytes
        self._limit = frame_limit(track.codec_context.width, track.codec_context.height)

    def frame(self) -> VideoFrame | None:
        """The most typical frame that shows something, else one of one colour, else a black one."""
        best: VideoFrame | None = None
        best_shows = Shows.NOTHING
        for number, place in enumerate(self._places()):
            is_at_start = not number and not place  # nothing has been read yet
            if not is_at_start and not self._seek(place):
                continue
            frame, shows = self._typical(self._frames(), self._limit if best is None else _FRAMES_PER_PLACE)
            if shows is Shows.CONTENT:
                return frame
            if shows > best_shows:
                best, best_shows = frame, shows
        return self._searched(best, best_shows)

    def _searched(self, best: VideoFrame | None, best_shows: Shows) -> VideoFrame | None:
        """A frame that shows more than `best`, from the start of the file on within the limits; else `best`."""
        if not self._seek(0.0):
            return best
        self._file.allow(_SEARCH_BYTES)
        pixels = max(1, self._track.codec_context.width * self._track.codec_context.height)
        end_seconds = time.process_time() + _SEARCH_CPU_SECONDS
        frames = self._decoded()
        for frame in islice(frames, 0, _SEARCHED_PIXELS // pixels, _SEARCH_STEP):
            shows = what_shows(sample_of_frame(frame))
            if shows is Shows.CONTENT:
                return self._typical(chain([frame], frames), self._limit)[0]
            if shows > best_shows:
                best, best_shows = frame, shows
            if time.process_time() > end_seconds:
                break
        return best

    def _places(self) -> Iterator[float]:
        """Parts of the whole duration, the first choice first."""
        seconds = self._duration_seconds
        yield min(0.1, _LATEST_FIRST_SECONDS / seconds) if seconds else 0.0
        yield from _OTHER_PLACES

    def _seek(self, place: float) -> bool:
        """To the keyframe before this part of the duration, or, if that is not possible, to this part of the file."""
        self._file.allow(_SEEK_BYTES)
        if self._track.time_base and (self._duration_seconds or not place):
            seconds = place * (self._duration_seconds or 0) if place else -_BEFORE_START_SECONDS
            ticks = int(seconds / self._track.time_base) + (self._track.start_time or 0)
            with suppress(FFmpegError):
                self._container.seek(ticks, stream=self._track)
                if not self._file.exhausted:
                    return True
        self._file.allow(_SEEK_BYTES)
        with suppress(FFmpegError):
            self._container.seek(int(place * self._size_bytes), unsupported_byte_offset=True)
            return True
        return False

    def _frames(self) -> Iterator[VideoFrame]:
        """Frames from here on."""
        self._file.allow(_FIRST_FRAME_BYTES)
        for number, frame in enumerate(self._decoded(_MAX_PACKETS_WITHOUT_KEYFRAME)):
            if not number:
                self._file.allow(_MORE_FRAMES_BYTES)
            yield frame

    def _decoded(self, skipped_packets: int = 0) -> Iterator[VideoFrame]:
        """Frames from here on; at most so many packets before a keyframe are not decoded."""
        damaged = 0
        packets = self._media.packets(self._track)
        while damaged < _MAX_DAMAGED_PACKETS:
            try:
                packet = next(packets, None)
            except (FFmpegError, ValueError):
                damaged += 1
                packets = self._media.packets(self._track)
                continue
            if packet is None:
                return
            if skipped_packets and packet.size and not packet.is_keyframe:
                skipped_packets -= 1
                continue
            skipped_packets = 0
            try:
                frames = packet.decode()
            except (FFmpegError, ValueError):
                damaged += 1
                continue
            for frame in frames:
                if frame.width > 0 and frame.height > 0 and not frame.is_corrupt:
                    yield frame

    def _typical(self, frames: Iterator[VideoFrame], limit: int) -> tuple[VideoFrame | None, Shows]:
        """The most typical of at most `limit` frames, and what it shows."""
        candidates: list[VideoFrame] = []
        samples: list[NDArray[Any]] = []
        for frame in frames:
            candidates.append(frame)
            samples.append(sample_of_frame(frame))
            if len(candidates) >= limit:
                break
        if not candidates:
            return None, Shows.NOTHING
        best, shows = most_typical(samples)
        return candidates[best], shows


def sample_of_frame(frame: VideoFrame) -> NDArray[Any]:
    """A small copy for comparisons, without tone mapping."""
    small = frame.reformat(
        SAMPLE_EDGE_PIXELS,
        SAMPLE_EDGE_PIXELS,
        "rgb24",
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA,
        threads=1,
    )
    return small.to_ndarray()
