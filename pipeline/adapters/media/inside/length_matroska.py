"""The end of a WebM or Matroska file without a duration, as browsers and live encoders write them.

Guarantee: reads at most the last 16 MiB, in steps from the end, and walks at most 100,000 elements, however they are
nested. Such files lack an index too, so libavformat would read all of them.

A cluster (RFC 9559, 5.1.3) states its time in units of the segment's TimestampScale; each block in it has a signed
16-bit offset to that. The last cluster with a readable block gives the end, even if it is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside.ebml import vint
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.matroska_header import read_matroska

_HEAD_BYTES = 64 * 1024
_STEPS_BYTES = (256 * 1024, 1024 * 1024, 4 * 1024 * 1024, 16 * 1024 * 1024)
_MAX_CANDIDATES = 64
_LONGEST_NANOSECONDS = 5_000_000_000
_MAX_ELEMENTS = 100_000
_CLUSTER = b"\x1f\x43\xb6\x75"
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _BLOCK_DURATION = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B
_VOID, _CRC_32 = 0xEC, 0xBF
_INSIDE_CLUSTER = {_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, 0xA7, 0xAB, 0xA4, 0xAF, _VOID, _CRC_32, 0x5854}
_TIMESTAMP_SCALE = b"\x2a\xd7\xb1"


def end_seconds(file: BinaryIO, size_bytes: int) -> float | None:
    """When the last packet ends, in seconds on the file's clock; None if there is no cluster."""
    scale_nanoseconds = _unsigned(read_at(file, 0, _HEAD_BYTES), _TIMESTAMP_SCALE) or 1_000_000
    durations = read_matroska(file, size_bytes).packet_nanoseconds
    ticks_by_track = {track: nanoseconds / scale_nanoseconds for track, nanoseconds in durations.items() if nanoseconds}
    for step in _STEPS_BYTES:
        length = min(step, size_bytes)
        walk = _Walk(
            read_at(file, size_bytes - length, length), ticks_by_track, _LONGEST_NANOSECONDS / scale_nanoseconds
        )
        if (ticks := walk.end()) is not None:
            return ticks * scale_nanoseconds / 1e9
        if length == size_bytes:
            break
    return None


@dataclass(slots=True)
class _Cluster:
    """The times of a cluster's packets by track, and the ends that the packets state; in ticks."""

    times: dict[int, set[int]]
    ends: list[int]


class _Walk:
    """Looks for the last clusters in `data`, with a limit on the elements of all attempts together. `durations`: how
    many ticks a packet lasts, by track, where the header says so. No packet is taken to last `longest` ticks because
    the one in the cluster before did."""

    def __init__(self, data: bytes, durations: Mapping[int, float], longest: float) -> None:
        self._data = data
        self._durations = durations
        self._longest = longest
        self._budget = _MAX_ELEMENTS

    def end(self) -> float | None:
        """The end of the last packet, in ticks. A track's last packet lasts as long as its block or the header says,
        else as long as the one before it did, which may be in the cluster before."""
        clusters = self._clusters()
        last = next(clusters, None)
        if last is None:
            return None
        if any(len(times) < 2 and track not in self._durations for track, times in last.times.items()):
            before = next(clusters, _Cluster({}, []))
            for track, times in last.times.items():
                times |= {time for time in before.times.get(track, ()) if min(times) - time < self._longest}
        return max(self._ends(last))

    def _ends(self, cluster: _Cluster) -> Iterator[float]:
        yield from cluster.ends
        for track, times in cluster.times.items():
            latest = sorted(times)[-2:]
            yield latest[-1] + self._durations.get(track, latest[-1] - latest[0])

    def _clusters(self) -> Iterator[_Cluster]:
        """The clusters that have a block, the last one first."""
        at = len(self._data)
        for _ in range(_MAX_CANDIDATES):
            at = self._data.rfind(_CLUSTER, 0, at)
            if at < 0 or self._budget <= 0:
                return
            if (cluster := self._cluster(at + 4)) is not None:
                yield cluster

    def _cluster(self, at: int) -> _Cluster | None:
        """None if these bytes only resemble a cluster, or if it has no block."""
        _, at = vint(self._data, at, keep_marker=False)
        base: int | None = None
        found = _Cluster({}, [])
        for element, begin, end in self._elements(at, len(self._data)):
            if element not in _INSIDE_CLUSTER:
                break
            if element == _TIMESTAMP:
                base = int.from_bytes(self._data[begin : min(end, begin + 8)], "big")
            elif element in (_SIMPLE_BLOCK, _BLOCK_GROUP):
                if base is None:
                    return None
                block, duration = (begin, 0) if element == _SIMPLE_BLOCK else self._group(begin, end)
                track, offset = self._block(block)
                if duration:
                    found.ends.append(base + offset + duration)
                else:
                    found.times.setdefault(track, set()).add(base + offset)
        return found if found.times or found.ends else None

    def _group(self, at: int, end: int) -> tuple[int, int]:
        """Where the group's block begins, and its duration in ticks."""
        block, duration = at, 0
        for element, begin, stop in self._elements(at, min(end, len(self._data))):
            if element == _BLOCK:
                block = begin
            elif element == _BLOCK_DURATION:
                duration = int.from_bytes(self._data[begin : min(stop, begin + 4)], "big")
        return block, duration

    def _block(self, at: int) -> tuple[int, int]:
        """The track's number, and the offset to the cluster's time."""
        track, at = vint(self._data, at, keep_marker=False)
        return track, int.from_bytes(self._data[at : at + 2], "big", signed=True)

    def _elements(self, at: int, limit: int) -> Iterator[tuple[int, int, int]]:
        """Id, and start and end of the content, of each element (RFC 8794, 5 and 6)."""
        while at < limit and self._budget > 0:
            self._budget -= 1
            element, at = vint(self._data, at, keep_marker=True)
            length, at = vint(self._data, at, keep_marker=False)
            if element < 0 or length < 0:
                return
            yield element, at, at + length
            at += length


def _unsigned(head: bytes, element: bytes) -> int | None:
    """The value of the first unsigned integer element with this id."""
    at = head.find(element)
    if at < 0:
        return None
    length, at = vint(head, at + len(element), keep_marker=False)
    return int.from_bytes(head[at : at + length], "big") if 1 <= length <= 8 else None
