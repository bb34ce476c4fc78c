"""The length of an Ogg file: the sum of its links if it is a chain, each from its first to its last timestamp.

Guarantee: reads the ends of each link, and finds them by bisection: at most 64 links, 64 KiB per step.

A chain is whole Ogg files one after the other, as internet radio and `cat` make them (RFC 3533, section 4). The streams
of each link have serial numbers of their own, and begin with pages that say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from pipeline.adapters.media.inside.iso_boxes import read_at

_MAX_LINKS = 64
_STEP_BYTES = 64 * 1024
_MAX_PAGE_BYTES = 65307
_SMALL_BYTES = 1024 * 1024
_CAPTURE = b"OggS\0"
_BEGINS = 2


class _Page(NamedTuple):
    at: int
    end: int
    begins: bool
    serial: int


def link_starts(file: BinaryIO, size_bytes: int) -> list[int]:
    """Where each link begins; `[0]` for a file that is no chain."""
    if size_bytes <= _SMALL_BYTES:
        return _all_starts(file, size_bytes)
    starts = [0]
    last = _last_page(file, size_bytes)
    while last is not None and len(starts) < _MAX_LINKS:
        serials = {page.serial for page in _beginning(file, starts[-1], size_bytes)}
        if not serials or last.serial in serials:
            break
        following = _bisect(file, starts[-1], size_bytes, serials)
        if following is None:
            break
        starts.append(following)
    return starts


def _all_starts(file: BinaryIO, size_bytes: int) -> list[int]:
    starts, before_began = [0], True
    for page in _pages(read_at(file, 0, size_bytes), 0):
        if page.begins and not before_began:
            starts.append(page.at)
        before_began = page.begins
    return starts[:_MAX_LINKS]


def _beginning(file: BinaryIO, start: int, size_bytes: int) -> Iterator[_Page]:
    """The pages that begin the streams of a link."""
    for page in _pages(read_at(file, start, min(_STEP_BYTES, size_bytes - start)), start):
        if not page.begins:
            return
        yield page


def _bisect(file: BinaryIO, low: int, high: int, serials: set[int]) -> int | None:
    """Where the first page of a stream that is not one of `serials` begins."""
    found: int | None = None
    while high - low > _STEP_BYTES:
        middle = (low + high) // 2
        page = next(_pages(read_at(file, middle, _STEP_BYTES + _MAX_PAGE_BYTES), middle), None)
        if page is None or page.serial not in serials:
            high = middle
        else:
            low = middle
    for page in _pages(read_at(file, low, 2 * (_STEP_BYTES + _MAX_PAGE_BYTES)), low):
        if page.serial not in serials:
            found = page.at
            break
    return found


def _last_page(file: BinaryIO, size_bytes: int) -> _Page | None:
    length = min(2 * _MAX_PAGE_BYTES, size_bytes)
    pages = list(_pages(read_at(file, size_bytes - length, length), size_bytes - length))
    return pages[-1] if pages else None


def _pages(data: bytes, start: int) -> Iterator[_Page]:
    """The pages whose headers are complete (RFC 3533, section 6), from the first capture pattern on."""
    at = data.find(_CAPTURE)
    while 0 <= at <= len(data) - 27:
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        serial = int.from_bytes(data[at + 14 : at + 18], "little")
        yield _Page(start + at, start + end, bool(data[at + 5] & _BEGINS), serial)
        at = data.find(_CAPTURE, end)
