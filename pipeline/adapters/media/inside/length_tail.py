"""The end of FLV and ASF recordings whose header states no length, from their last packets.

Guarantee: reads at most the last MiB, and gives seconds on the file's clock or None for any bytes.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import av

from pipeline.adapters.media.inside.demuxer import opened
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.inside.views import view

_AUDIO, _VIDEO = 8, 9
_MAX_TAGS = 64
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_TAIL_BYTES = 512 * 1024
_ASF_DATA_BYTES = 50  # the data object's own fields


def flv_end_seconds(file: BinaryIO, size_bytes: int) -> float | None:
    """The time of the last picture or sound; each tag is followed by its size (Video File Format 10, E.3)."""
    at = size_bytes
    for _ in range(_MAX_TAGS):
        if at < 15:
            return None
        at -= 4 + int.from_bytes(read_at(file, at - 4, 4), "big")
        if at < 13:
            return None
        head = read_at(file, at, 11)
        if len(head) == 11 and head[0] & 0x1F in (_AUDIO, _VIDEO):
            return int.from_bytes(head[7:8] + head[4:7], "big") / 1000
    return None


def asf_end_seconds(file: BinaryIO, size_bytes: int) -> float | None:
    """The end of the last packets. All have the size that the header states (Advanced Systems Format, 3.2 and 5.1)."""
    head = read_at(file, 0, 64 * 1024)
    at = head.find(_ASF_PROPERTIES)
    if not head.startswith(_ASF_HEADER) or not 0 <= at <= len(head) - 104:
        return None
    (header_bytes,) = struct.unpack_from("<Q", head, 16)
    (packet_bytes,) = struct.unpack_from("<I", head, at + 92)
    data_at = header_bytes + _ASF_DATA_BYTES
    if not packet_bytes or data_at >= size_bytes:
        return None
    packets = min((size_bytes - data_at) // packet_bytes, max(1, _ASF_TAIL_BYTES // packet_bytes))
    last = (size_bytes - data_at) // packet_bytes * packet_bytes + data_at
    tail = last - packets * packet_bytes
    return _latest(view(file, [(0, data_at), (tail, last - tail)]), "asf")


def _latest(part: BinaryIO, form: str) -> float | None:
    """When the last packet of a view ends."""
    latest = 0.0
    try:
        with opened(part, form) as media:
            for packet in media.container.demux():
                if packet.pts is not None and packet.time_base:
                    latest = max(latest, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (NotMedia, av.FFmpegError):
        pass
    return latest or None
