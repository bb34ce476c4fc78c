"""Fragmented mp4 files: where the fragments begin, and when the last one ends.

Guarantee: reads headers of boxes up to the first MiB of fragments, and at most the last 16 MiB, in steps from the end.
libavformat would visit every fragment, which is the whole file if they are small.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import Box, boxes, content, find, read_at

_BEGINNING_BYTES = 1024 * 1024
_STEPS_BYTES = (256 * 1024, 1024 * 1024, 4 * 1024 * 1024, 16 * 1024 * 1024)
_MAX_BOXES = 4096
_MAX_CANDIDATES = 256
_MAX_FRAGMENT_HEADER_BYTES = 1024 * 1024
_MAX_SAMPLES = 200_000


@dataclass(frozen=True, slots=True)
class Fragmented:
    """A fragmented file. `end` is the offset behind the first fragments, at the end of a box; `clocks` are the tracks'
    units per second and default sample durations, by track."""

    end: int
    clocks: Mapping[int, tuple[int, int]]


def read_fragmented(file: BinaryIO, size_bytes: int) -> Fragmented | None:
    """None for a file without fragments. All of the file counts as the first fragments if it is small, or has an index
    of them (sidx)."""
    moov: Box | None = None
    end = 0
    for box in boxes(file, 0, size_bytes, _MAX_BOXES):
        if box.name == b"moov":
            moov = box
            if find(file, moov.start, moov.end, b"mvex") is None:
                return None
        elif box.name == b"mdat" and moov is None:
            return None
        end = size_bytes if box.name == b"sidx" else max(end, box.end)
        if moov is not None and end - moov.end >= _BEGINNING_BYTES:
            break
    return None if moov is None else Fragmented(end, _clocks(file, moov))


def _clocks(file: BinaryIO, moov: Box) -> Mapping[int, tuple[int, int]]:
    defaults: dict[int, int] = {}
    mvex = find(file, moov.start, moov.end, b"mvex")
    for box in boxes(file, mvex.start, mvex.end) if mvex else ():
        data = content(file, box, 24)
        if box.name == b"trex" and len(data) == 24:
            track, _, duration = struct.unpack_from(">III", data, 4)
            defaults[track] = duration
    clocks: dict[int, tuple[int, int]] = {}
    for trak in boxes(file, moov.start, moov.end):
        if trak.name != b"trak":
            continue
        tkhd = find(file, trak.start, trak.end, b"tkhd")
        mdhd = find(file, trak.start, trak.end, b"mdia", b"mdhd")
        if tkhd is None or mdhd is None:
            continue
        header, media = content(file, tkhd, 32), content(file, mdhd, 32)
        track = int.from_bytes(header[20:24] if header[:1] == b"\1" else header[12:16], "big")
        units = int.from_bytes(media[20:24] if media[:1] == b"\1" else media[12:16], "big")
        if units:
            clocks[track] = (units, defaults.get(track, 0))
    return clocks


def end_seconds(file: BinaryIO, size_bytes: int, clocks: Mapping[int, tuple[int, int]]) -> float | None:
    """When the last sample of the last fragments ends, on the file's clock; None if they do not state it."""
    for step in _STEPS_BYTES:
        length = min(step, size_bytes)
        start = size_bytes - length
        tail = read_at(file, start, length)
        ends: list[float] = []
        for at in _fragments(tail):
            ends += _ends(file, start + at, size_bytes, clocks)
        if ends:
            return max(ends)
        if length == size_bytes:
            break
    return None


def _fragments(tail: bytes) -> Iterator[int]:
    """Where a movie fragment box begins: its first child is mfhd (ISO/IEC 14496-12, 8.8.4)."""
    at = len(tail)
    for _ in range(_MAX_CANDIDATES):
        at = tail.rfind(b"moof", 0, at)
        if at < 4:
            return
        if tail[at + 8 : at + 12] == b"mfhd":
            yield at - 4


def _ends(file: BinaryIO, at: int, size_bytes: int, clocks: Mapping[int, tuple[int, int]]) -> Iterator[float]:
    moof = next(boxes(file, at, size_bytes, 1), None)
    if moof is None or moof.end - moof.start > _MAX_FRAGMENT_HEADER_BYTES:
        return
    for traf in boxes(file, moof.start, moof.end):
        if traf.name == b"traf" and (end := _track_end(file, traf, clocks)) is not None:
            yield end


def _track_end(file: BinaryIO, traf: Box, clocks: Mapping[int, tuple[int, int]]) -> float | None:
    track, default, base, total = 0, 0, None, 0
    for box in boxes(file, traf.start, traf.end):
        data = content(file, box, _MAX_FRAGMENT_HEADER_BYTES)
        try:
            if box.name == b"tfhd":
                flags, track = struct.unpack_from(">II", data)
                at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
                default = struct.unpack_from(">I", data, at)[0] if flags & 8 else clocks.get(track, (0, 0))[1]
            elif box.name == b"tfdt":
                (base,) = struct.unpack_from(">Q" if data[:1] == b"\1" else ">I", data, 4)
            elif box.name == b"trun":
                total += _run(data, default)
        except struct.error:
            return None
    if base is None or track not in clocks:
        return None
    return float(base + total) / clocks[track][0]


def _run(data: bytes, default: int) -> int:
    """The sum of the sample durations of one run (8.8.8)."""
    flags, stated = struct.unpack_from(">II", data)
    samples = min(int(stated), _MAX_SAMPLES)
    if not flags & 0x100:
        return samples * default
    at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    fields = sum(1 for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit)
    samples = min(samples, (len(data) - at) // (4 * fields))
    durations: tuple[int, ...] = struct.unpack_from(f">{samples * fields}I", data, at)[::fields]
    return sum(durations)
