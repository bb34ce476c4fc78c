"""The length of content that states none, by counting its packets: all of a small file, else stretches of it.

Guarantee: reads at most 2 MiB. For more than that the result is an estimate: the packets of 24 stretches that are
spread over the file, scaled to its size, which is right where the bit rate varies too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import BinaryIO

import av
from av.packet import Packet
from av.stream import Stream

from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.views import Part, view

_COUNTED_BYTES = 2 * 1024 * 1024
_WINDOWS = 24
_WINDOW_BYTES = 64 * 1024
_FIRST_PACKETS = 64
_KEY_BYTES = 32  # what comes before a packet's content: MXF's key and length
_MAX_PACKETS = 200_000


def counted_seconds(file: BinaryIO, size_bytes: int, form: str, header_end: int) -> float | None:
    """The length of a file of ffmpeg's format `form`, whose packets can be found from any point. The first `header_end`
    bytes are needed to read any of them."""
    content_bytes = size_bytes - header_end
    if content_bytes <= _COUNTED_BYTES:
        return _measured(view(file, [(0, size_bytes)]), form)[0] or None
    rates: list[float] = []
    for number in range(_WINDOWS):
        start = header_end + number * (content_bytes - _WINDOW_BYTES) // (_WINDOWS - 1)
        parts: Sequence[Part] = [(0, header_end), (start, _WINDOW_BYTES)]
        length, counted = _measured(view(file, parts), form)
        if length and counted:
            rates.append(length / counted)
    return sum(rates) / len(rates) * content_bytes if len(rates) > _WINDOWS // 2 else None


def first_stretch_seconds(file: BinaryIO, size_bytes: int, form: str) -> float | None:
    """The same for a format whose packets are found only one after the other: its first 2 MiB, scaled."""
    seconds, counted = _measured(view(file, [(0, min(size_bytes, _COUNTED_BYTES))]), form)
    return seconds * max(1.0, size_bytes / _COUNTED_BYTES) if counted and seconds else None


def scaled_seconds(file: BinaryIO, size_bytes: int, media: Opened) -> float | None:
    """The same for an open file: from stretches if its packets are smaller, else from its first packets, whose distance
    is that of all others."""
    stream = main_stream(media.container.streams)
    if stream is None:
        return None
    packets = list(islice(media.packets(stream), _FIRST_PACKETS))
    first = packets[0].pos if packets else None
    if first and (found := counted_seconds(file, size_bytes, media.container.format.name, max(0, first - _KEY_BYTES))):
        return found
    seconds, counted = _total(packets, stream)
    return seconds * (size_bytes - (first or 0)) / counted if counted and seconds else None


def _measured(part: BinaryIO, form: str) -> tuple[float, int]:
    """Seconds and bytes of the packets of the main stream; the bytes include what lies between them."""
    try:
        with opened(part, form) as media:
            stream = main_stream(media.container.streams)
            return _total(media.packets(stream), stream) if stream else (0.0, 0)
    except NotMedia:
        return 0.0, 0


def main_stream(streams: Iterable[Stream]) -> Stream | None:
    """The first video that is no cover, else the first audio."""
    found = [stream for stream in streams if stream.type in ("video", "audio") and not stream.disposition & 1024]
    return min(found, key=lambda stream: (stream.type != "video", stream.index), default=None)


def _total(packets: Iterable[Packet[Stream]], stream: Stream) -> tuple[float, int]:
    ticks, first, end = 0, None, 0
    try:
        for number, packet in enumerate(packets):
            if number > _MAX_PACKETS or not packet.size:
                break
            ticks += packet.duration or 0
            if packet.pos is not None and packet.pos >= 0:
                first = packet.pos if first is None else first
                end = packet.pos + packet.size
    except av.FFmpegError:  # the file ends inside a packet
        pass
    return float(ticks * (stream.time_base or 0)), end - (first or 0)
