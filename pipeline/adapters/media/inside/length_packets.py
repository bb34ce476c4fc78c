"""The length of a file from its first and last packets, where the header counts from another time.

Guarantee: reads the packets at the beginning and at most the last 256 KiB; gives seconds or None for any bytes.
"""

from __future__ import annotations

from itertools import islice
from typing import BinaryIO

import av
from av.stream import Stream

from pipeline.adapters.media.inside.demuxer import Opened, opened
from pipeline.adapters.media.inside.length_sampled import main_stream
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.views import Part, view

_FIRST_PACKETS = 256  # a page of Ogg has at most 255
_TAIL_BYTES = 256 * 1024


def packets_seconds(file: BinaryIO, size_bytes: int, media: Opened) -> float | None:
    """From the begin of the first packet of the main stream to the end of its last one."""
    stream = main_stream(media.container.streams)
    if stream is None:
        return None
    begin, data_at = _beginning(media, stream)
    if begin is None:
        return None
    tail = max(data_at, size_bytes - _TAIL_BYTES)
    parts: list[Part] = [(0, data_at), (tail, size_bytes - tail)]
    end = latest_seconds(view(file, parts), media.container.format.name)
    return None if end is None else end - begin


def _beginning(media: Opened, stream: Stream) -> tuple[float | None, int]:
    """When the first packet begins, and where it is. The first packets of an Ogg stream may count from 0 until the end
    of their page states the time."""
    begin: int | None = None
    ticks, data_at = 0, 0
    try:
        for packet in islice(media.packets(stream), _FIRST_PACKETS):
            if packet.pts is None or not packet.size:
                continue
            if begin is None:
                begin, data_at = packet.pts, max(0, packet.pos or 0)
            elif stream.time_base and (packet.pts - begin - ticks) * stream.time_base > 1:
                begin = packet.pts - ticks
            ticks += packet.duration or 0
    except av.FFmpegError:  # what was read before counts
        pass
    return (None if begin is None or stream.time_base is None else float(begin * stream.time_base)), data_at


def latest_seconds(part: BinaryIO, form: str) -> float | None:
    """When the last packet of a view in ffmpeg's format `form` ends, on the file's clock."""
    latest = 0.0
    try:
        with opened(part, form) as media:
            for packet in media.container.demux():
                if packet.pts is not None and packet.time_base:
                    latest = max(latest, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (NotMedia, av.FFmpegError):
        pass
    return latest or None
