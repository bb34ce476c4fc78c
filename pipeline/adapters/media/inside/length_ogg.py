"""The length of an Ogg file: the sum of its links if it is a chain, each from its first to its last timestamp.

Guarantee: reads the ends of each link, and finds them by bisection: at most 64 links, 64 KiB per step.

A chain is whole Ogg files one after the other, as internet radio and `cat` make them (RFC 3533, section 4). The streams
of each link have serial numbers of their own, and begin with pages that say so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from pipeline.adapters.media.inside.iso_boxes import read_at

_MAX_LINKS = 64
_SAMPLES = 16
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
    number: int


def link_starts(file: BinaryIO, size_bytes: int) -> list[int]:
    """Where each link begins; `[0]` for a file that is no chain."""
    if size_bytes <= _SMALL_BYTES:
        return _all_starts(file, size_bytes)
    starts = [0]
    last = _last_page(file, size_bytes)
    while last is not None and len(starts) < _MAX_LINKS:
        following = _following(file, starts[-1], size_bytes, last)
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


def _following(file: BinaryIO, start: int, size_bytes: int, last: _Page) -> int | None:
    """Where the link after the one at `start` begins; None if that is the last one. Two signs show that there is
    another: its serial numbers are others, or its pages are counted from 0 again."""
    beginning = list(_pages(read_at(file, start, min(_STEP_BYTES, size_bytes - start)), start))
    serials = {page.serial for page in beginning if page.begins}
    if not serials:
        return None
    if last.serial not in serials:
        return _bisect(file, start, size_bytes, lambda page: page.serial in serials)
    pages = [page for page in beginning if page.serial == last.serial]
    page_bytes = (beginning[-1].end - start) / max(1, len(pages))
    if last.number > (size_bytes - start) / page_bytes / 2:  # as many pages as the file has room for
        return None
    low, number = start, 0
    for sample in range(1, _SAMPLES + 1):
        at = start + sample * (size_bytes - start) // (_SAMPLES + 1)
        page = next(_pages(read_at(file, at, _STEP_BYTES + _MAX_PAGE_BYTES), at), None)
        if page is None or page.serial not in serials or page.number < number:
            break
        low, number = at, page.number
    else:
        at = size_bytes
    return _bisect(file, low, at + _STEP_BYTES, lambda page: page.serial in serials and page.number >= number)


def _bisect(file: BinaryIO, low: int, high: int, belongs: Callable[[_Page], bool]) -> int | None:
    """Where the first page between two offsets begins that does not belong to the link."""
    while high - low > _STEP_BYTES:
        middle = (low + high) // 2
        page = next(_pages(read_at(file, middle, _STEP_BYTES + _MAX_PAGE_BYTES), middle), None)
        if page is None or not belongs(page):
            high = middle
        else:
            low = middle
    pages = _pages(read_at(file, low, 2 * (_STEP_BYTES + _MAX_PAGE_BYTES)), low)
    return next((page.at for page in pages if not belongs(page)), None)


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
        serial, number = struct.unpack_from("<II", data, at + 14)
        yield _Page(start + at, start + end, bool(data[at + 5] & _BEGINS), serial, number)
        at = data.find(_CAPTURE, end)
