"""Reads from the header of a Matroska or WebM file what PyAV does not expose: how pictures are turned, how long
packets last; and how many tags, chapters and tracks there are, before libavformat reads them.

Guarantee: at most 50,000 elements are visited, and any bytes give a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, NamedTuple

from pipeline.adapters.media.inside.ebml import Element, Walk
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation, of_roll

_MAX_ELEMENTS = 50_000
_MAX_PARTS = 256
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_TRACKS, _TRACK, _TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_NUMBER, _DEFAULT_DURATION = 0xD7, 0x23E383
_PROJECTION, _KIND, _YAW, _PITCH, _ROLL = 0x7670, 0x7671, 0x7673, 0x7674, 0x7675
_TAGS, _TAG, _SIMPLE_TAG = 0x1254C367, 0x7373, 0x67C8
_CHAPTERS, _EDITION, _CHAPTER = 0x1043A770, 0x45B9, 0xB6
_VIDEO_TYPE = 1
_RECTANGULAR = 0
_WANTED = (_TRACKS, _TAGS, _CHAPTERS)


@dataclass(frozen=True, slots=True)
class MatroskaHeader:
    """`turned`: how the pictures of each video track are turned, in the file's order. `packet_nanoseconds`: how long
    each packet lasts (DefaultDuration), by the track's number."""

    turned: Sequence[Orientation] = ()
    tags: int = 0
    chapters: int = 0
    tracks: int = 0
    packet_nanoseconds: Mapping[int, int] = field(default_factory=dict)


class _Track(NamedTuple):
    number: int
    packet_nanoseconds: int
    is_video: bool
    turned: Orientation


def read_matroska(file: BinaryIO, size_bytes: int) -> MatroskaHeader:
    """The header of a file that begins with an EBML header."""
    walk = Walk(file, _MAX_ELEMENTS)
    turned: list[Orientation] = []
    durations: dict[int, int] = {}
    tags = chapters = tracks = 0
    for part in _parts(walk, size_bytes):
        if part.number == _TRACKS:
            for track in _named(walk, part, _TRACK):
                tracks += 1
                found = _track(walk, track)
                durations[found.number] = found.packet_nanoseconds
                if found.is_video:
                    turned.append(found.turned)
        elif part.number == _TAGS:
            tags += sum(_count(walk, tag, _SIMPLE_TAG) for tag in _named(walk, part, _TAG))
        else:
            chapters += sum(_count(walk, edition, _CHAPTER) for edition in _named(walk, part, _EDITION))
    return MatroskaHeader(turned, tags, chapters, tracks, durations)


def _parts(walk: Walk, size_bytes: int) -> Iterator[Element]:
    """Tracks, tags and chapters: those before the first cluster, and those that the seek head names."""
    segment = next((element for element in walk.elements(0, size_bytes) if element.number == _SEGMENT), None)
    if segment is None:
        return
    seen: set[int] = set()
    sought: set[int] = set()
    for element in islice(walk.elements(segment.start, segment.end), _MAX_PARTS):
        if element.number == _CLUSTER:
            break
        if element.number == _SEEK_HEAD:
            sought |= {segment.start + position for position in _positions(walk, element)}
        elif element.number in _WANTED:
            seen.add(element.start)
            yield element
    for position in sorted(sought)[:64]:
        for element in islice(walk.elements(position, segment.end), 1):
            if element.number in _WANTED and element.start not in seen:
                seen.add(element.start)
                yield element


def _positions(walk: Walk, seek_head: Element) -> Iterator[int]:
    for seek in _named(walk, seek_head, _SEEK):
        values = {part.number: walk.unsigned(part) for part in walk.elements(seek.start, seek.end)}
        if values.get(_SEEK_ID) in _WANTED and _SEEK_POSITION in values:
            yield values[_SEEK_POSITION]


def _named(walk: Walk, parent: Element, number: int) -> Iterator[Element]:
    return (element for element in walk.elements(parent.start, parent.end) if element.number == number)


def _count(walk: Walk, parent: Element, number: int) -> int:
    """How many elements of this number are in `parent`, on any level of elements of the same number."""
    found, levels = 0, [parent]
    while levels:
        level = levels.pop()
        for element in _named(walk, level, number):
            found += 1
            levels.append(element)
    return found


def _track(walk: Walk, track: Element) -> _Track:
    number, nanoseconds, is_video, orientation = 0, 0, False, UPRIGHT
    for element in walk.elements(track.start, track.end):
        if element.number == _NUMBER:
            number = walk.unsigned(element)
        elif element.number == _DEFAULT_DURATION:
            nanoseconds = walk.unsigned(element)
        elif element.number == _TYPE:
            is_video = walk.unsigned(element) == _VIDEO_TYPE
        elif element.number == _VIDEO:
            for projection in _named(walk, element, _PROJECTION):
                orientation = _projection(walk, projection)
    return _Track(number, nanoseconds, is_video, orientation)


def _projection(walk: Walk, projection: Element) -> Orientation:
    kind, pose = _RECTANGULAR, {_YAW: 0.0, _PITCH: 0.0, _ROLL: 0.0}
    for element in walk.elements(projection.start, projection.end):
        if element.number == _KIND:
            kind = walk.unsigned(element)
        elif element.number in pose:
            pose[element.number] = walk.floating(element)
    return of_roll(pose[_YAW], pose[_PITCH], pose[_ROLL]) if kind == _RECTANGULAR else UPRIGHT
