"""Counts tags, chapters and tracks before libavformat reads them.

Guarantee: raises NotMedia, with the limit, for a file that has more of them than `schemas.media` allows, and visits few
more. libavformat compares each new tag with all before it: 100,000 of them take it a minute.

How large tags are does not matter: few are kept, and those are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from pipeline.adapters.media.inside.flv_script import script_properties
from pipeline.adapters.media.inside.iso_boxes import boxes, find, read_at
from pipeline.adapters.media.inside.matroska_header import MatroskaHeader
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MAX_FILE_CHAPTERS, MAX_FILE_STREAMS, MAX_FILE_TAGS

_HEAD_BYTES = 64 * 1024
_PROBED_BYTES = 4096
_MAX_PARTS = 256
_ENOUGH = MAX_FILE_TAGS + 1
_COMMENT_SIGNATURES = (b"\x03vorbis", b"OpusTags", b"\x81theora")
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_COUNTED = (bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850"), bytes.fromhex("941c23449894d149a1411d134e457054"))


def check_matroska(header: MatroskaHeader) -> None:
    """Raises NotMedia."""
    _check(header.tags, MAX_FILE_TAGS, "tags")
    _check(header.chapters, MAX_FILE_CHAPTERS, "chapters")
    _check(header.tracks, MAX_FILE_STREAMS, "streams")


def check_tags(file: BinaryIO, size_bytes: int) -> None:
    """Raises NotMedia. For every format but Matroska."""
    tag_bytes, frames = _id3(file)
    _check(frames, MAX_FILE_TAGS, "tags")
    head = read_at(file, tag_bytes, _PROBED_BYTES)
    for sign, at, count in _FORMATS:
        if head[at : at + len(sign)] == sign:
            _check(count(file, tag_bytes, size_bytes), MAX_FILE_TAGS, "tags")
    if not _is_movie(head):
        _check(_ape(file, size_bytes), MAX_FILE_TAGS, "tags")


def _is_movie(head: bytes) -> bool:
    """Whether libavformat reads it as a movie for certain (mov_probe, which needs 2 KiB): then it reads no APE tag, and
    the end of the file, which may be yet to arrive, is not needed to count its tags."""
    return (
        head[4:8] == b"ftyp"
        and 16 <= int.from_bytes(head[:4], "big") <= _PROBED_BYTES
        and head[8:12] not in (b"jp2 ", b"jpx ", b"jxl ")
        and b"mhlrMPEG" not in head
    )


def check_count(count: int, what: str) -> None:
    """Raises NotMedia for more than `MAX_FILE_TAGS` of what counts as tags."""
    _check(count, MAX_FILE_TAGS, what)


def _check(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise NotMedia(f"it has more than {limit:,} {what}, the most that are accepted")


def _id3(file: BinaryIO, at: int = 0) -> tuple[int, int]:
    """Where the ID3v2 tags end that begin at this offset, and the number of their frames (ID3v2.4.0, 3.1 and 4). A tag
    counts as a frame too, as any number of them may follow each other; the number is -1 if there is none."""
    frames = -1
    while frames < _ENOUGH:
        head = read_at(file, at, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        frames += 1
        length = _synchsafe(head[6:10])
        fields = 6 if head[3] == 2 else 10
        place, end = at + 10, at + 10 + length
        while place + fields <= end and frames < _ENOUGH:
            frame = read_at(file, place, fields)
            if len(frame) < fields or not frame[0]:
                break
            size = frame[3:6] if fields == 6 else frame[4:8]
            place += fields + (_synchsafe(size) if head[3] == 4 else int.from_bytes(size, "big"))
            frames += 1
        at = end + (10 if head[5] & 0x10 else 0)
    return at, frames


def _synchsafe(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def _flac(file: BinaryIO, start: int, size_bytes: int) -> int:
    """RFC 9639, 8.1 and 8.6."""
    at, found = start + 4, 0
    for _ in range(_MAX_PARTS):
        head = read_at(file, at, 4)
        if len(head) < 4:
            break
        if head[0] & 0x7F == 4:
            found += _comments(read_at(file, at + 4, 4), file, at + 4)
        if head[0] & 0x80:
            break
        at += 4 + int.from_bytes(head[1:], "big")
    return found


def _comments(vendor: bytes, file: BinaryIO, at: int) -> int:
    """The number that a Vorbis comment states behind the vendor's name."""
    place = at + 4 + int.from_bytes(vendor, "little")
    return int.from_bytes(read_at(file, place, 4), "little")


def _ogg(file: BinaryIO, start: int, size_bytes: int) -> int:
    """The comment headers, which have pages of their own."""
    head = read_at(file, start, _HEAD_BYTES)
    found = 0
    for sign in _COMMENT_SIGNATURES:
        at = head.find(sign)
        if at >= 0:
            place = at + len(sign)
            found += _comments(head[place : place + 4], file, start + place)
    return found


def _iso(file: BinaryIO, start: int, size_bytes: int) -> int:
    moov = find(file, start, size_bytes, b"moov")
    if moov is None:
        return 0
    owners = [moov, *(box for box in boxes(file, moov.start, moov.end, 1024) if box.name == b"trak")]
    found = 0
    for owner in owners:
        for path in ((b"udta",), (b"meta",), (b"udta", b"meta")):
            place = find(file, owner.start, owner.end, *path)
            if place is None:
                continue
            # `meta` has four bytes of version and flags in mp4, and none in QuickTime
            skipped = 4 if path[-1] == b"meta" and read_at(file, place.start, 4) == bytes(4) else 0
            for box in boxes(file, place.start + skipped, place.end, _ENOUGH):
                found += sum(1 for _ in boxes(file, box.start, box.end, _ENOUGH)) if box.name == b"ilst" else 1
        if found > MAX_FILE_TAGS:
            break
    return found


def _riff(file: BinaryIO, start: int, size_bytes: int) -> int:
    """The entries of INFO lists, and of ID3."""
    found = 0
    for name, at, length in _chunks(file, start + 12, size_bytes, _MAX_PARTS):
        if name == b"LIST" and read_at(file, at, 4) == b"INFO":
            found += sum(1 for _ in _chunks(file, at + 4, at + length, _ENOUGH))
        elif name.lower() == b"id3 ":
            found += max(0, _id3(file, at)[1])
    return found


def _aiff(file: BinaryIO, start: int, size_bytes: int) -> int:
    """The entries of ID3 chunks (Audio IFF 1.3)."""
    at, found = start + 12, 0
    for _ in range(_MAX_PARTS):
        head = read_at(file, at, 8)
        if len(head) < 8:
            break
        if head[:4] == b"ID3 ":
            found += max(0, _id3(file, at + 8)[1])
        length = int.from_bytes(head[4:], "big")
        at += 8 + length + (length & 1)
    return found


def _chunks(file: BinaryIO, at: int, end: int, limit: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(limit):
        head = read_at(file, at, 8)
        if at + 8 > end or len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, length
        at += 8 + length + (length & 1)


def _asf(file: BinaryIO, start: int, size_bytes: int) -> int:
    """The extended content description and the metadata library (Advanced Systems Format, 3.11 and 4.8)."""
    head = read_at(file, start, _HEAD_BYTES)
    found = 0
    for sign in _ASF_COUNTED:
        at = head.find(sign)
        if at >= 0:
            found += int.from_bytes(head[at + 24 : at + 26], "little")
    return found


def _caf(file: BinaryIO, start: int, size_bytes: int) -> int:
    """The `info` chunks (Apple Core Audio Format, Information Chunk)."""
    at, found = start + 8, 0
    for _ in range(_MAX_PARTS):
        head = read_at(file, at, 16)
        if len(head) < 16:
            break
        if head[:4] == b"info":
            found += int.from_bytes(head[12:16], "big")
        at += 12 + int.from_bytes(head[4:12], "big")
    return found


def _flv(file: BinaryIO, start: int, size_bytes: int) -> int:
    return script_properties(file, size_bytes)


def _ape(file: BinaryIO, size_bytes: int) -> int:
    """The number of items that the footer states, at the end or before an ID3v1 tag (APEv2, Tags Header)."""
    for end in (size_bytes, size_bytes - 128):
        if end >= 32 and (footer := read_at(file, end - 32, 32))[:8] == b"APETAGEX":
            return int.from_bytes(footer[16:20], "little")
    return 0


_FORMATS: tuple[tuple[bytes, int, Callable[[BinaryIO, int, int], int]], ...] = (
    (b"fLaC", 0, _flac), (b"OggS", 0, _ogg), (b"RIFF", 0, _riff), (b"RF64", 0, _riff),
    (b"FORM", 0, _aiff), (b"caff", 0, _caf), (b"FLV\1", 0, _flv),
    (_ASF_HEADER, 0, _asf),
    (b"ftyp", 4, _iso), (b"moov", 4, _iso), (b"mdat", 4, _iso), (b"wide", 4, _iso), (b"free", 4, _iso),
    (b"skip", 4, _iso),
)  # fmt: skip
"""The bytes by which a format begins, at which offset, and how its tags are counted."""
