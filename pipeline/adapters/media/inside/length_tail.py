"""The end of FLV and ASF recordings whose header states no length, from their last packets.

Guarantee: reads at most the last MiB, and gives seconds on the file's clock or None for any bytes.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.length_packets import latest_seconds
from pipeline.adapters.media.inside.views import view

_AUDIO, _VIDEO = 8, 9
_KINDS = (_AUDIO, _VIDEO, 18)
_MAX_TAGS = 64
_MAX_CANDIDATES = 4096
_CUT_OFF_BYTES = 1024 * 1024
_TAG = re.compile(rb"(?s)(?=[\x08\x09\x12].{7}\0\0\0)")  # what every tag begins with: its kind, and stream 0
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_TAIL_BYTES = 512 * 1024
_ASF_DATA_BYTES = 50  # the data object's own fields


def flv_end_seconds(file: BinaryIO, size_bytes: int) -> float | None:
    """The time of the last picture or sound; each tag is followed by its size (Video File Format 10, E.3)."""
    at = _complete_end(file, size_bytes)
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


def _complete_end(file: BinaryIO, size_bytes: int) -> int:
    """Where the last complete tag ends, with its size: the end of the file unless that was cut off."""
    if size_bytes >= 15:
        last = int.from_bytes(read_at(file, size_bytes - 4, 4), "big")
        if 11 <= last <= size_bytes - 4:
            head = read_at(file, size_bytes - 4 - last, 4)
            if head[0] & 0x1F in _KINDS and int.from_bytes(head[1:], "big") == last - 11:
                return size_bytes
    start = max(0, size_bytes - _CUT_OFF_BYTES)
    tail = read_at(file, start, size_bytes - start)
    for found in reversed([match.start() for match in _TAG.finditer(tail)][-_MAX_CANDIDATES:]):
        length = 11 + int.from_bytes(tail[found + 1 : found + 4], "big")
        end = found + length + 4
        if end <= len(tail) and int.from_bytes(tail[end - 4 : end], "big") == length:
            return start + end
    return size_bytes


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
    return latest_seconds(view(file, [(0, data_at), (tail, last - tail)]), "asf")
