"""The file object of the sandbox behaves as a file, whatever is read, and requests few bytes in few ranges."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.media.protocol import HEADER, MAX_RANGE_BYTES, Said
from pipeline.adapters.media.ranges import RangeFile

pytestmark = pytest.mark.unit

_KIB, _MIB = 1024, 1024**2
_CONTENT = bytes(os.urandom(_MIB)) * 24


@contextmanager
def _file(content: bytes) -> Iterator[tuple[RangeFile, list[tuple[int, int]]]]:
    """The file, and the ranges that it has requested."""
    inside, outside = socket.socketpair()
    requested: list[tuple[int, int]] = []

    def serve() -> None:
        while header := outside.recv(HEADER.size, socket.MSG_WAITALL):
            what, offset, length = HEADER.unpack(header)
            assert what == Said.RANGE
            requested.append((offset, length))
            outside.sendall(content[offset : offset + length])

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield RangeFile(inside.fileno(), len(content)), requested
    finally:
        inside.close()
        server.join()
        outside.close()


_POSITION = st.integers(0, 3 * _MIB + 10)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 300_000)),
        st.tuples(st.just("seek"), _POSITION),
        st.tuples(st.just("seek_end"), st.integers(-3 * _MIB, 10)),
        st.tuples(st.just("readinto"), st.integers(0, 70_000)),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=30)
@given(size=st.sampled_from([0, 1, 65_535, 65_536, 512 * _KIB, 512 * _KIB + 1, 3 * _MIB - 7, 3 * _MIB]), steps=_STEPS)
def test_it_reads_what_a_file_reads(size: int, steps: list[tuple[str, int]]) -> None:
    content = _CONTENT[:size]
    expected = io.BytesIO(content)
    with _file(content) as (file, requested):
        for what, number in steps:
            if what == "read":
                assert file.read(number) == expected.read(number)
            elif what == "readinto":
                mine, theirs = bytearray(number), bytearray(number)
                assert file.readinto(mine) == expected.readinto(theirs)
                assert mine == theirs
            elif what == "seek":
                assert file.seek(number) == expected.seek(number)
            elif size + number >= 0:
                assert file.seek(number, io.SEEK_END) == expected.seek(number, io.SEEK_END)
            assert file.tell() == expected.tell()
        for offset, length in requested:
            assert 0 < length <= MAX_RANGE_BYTES
            assert offset + length <= size


def test_a_seek_before_the_beginning_is_refused() -> None:
    with _file(b"content") as (file, _):
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(-1)
        assert file.seek(2, io.SEEK_CUR) == 2
        assert file.read() == b"ntent"


def test_a_small_file_is_one_range() -> None:
    with _file(_CONTENT[: 512 * _KIB]) as (file, requested):
        file.seek(400 * _KIB)
        file.read(10)
        file.seek(0)
        assert file.read() == _CONTENT[: 512 * _KIB]
        assert requested == [(0, 512 * _KIB)]


def test_small_reads_are_widened_and_kept() -> None:
    with _file(_CONTENT) as (file, requested):
        for offset in (70_000, 66_000, 100_000, 70_000):
            file.seek(offset)
            file.read(4096)
        assert requested == [(64 * _KIB, 64 * _KIB)]


def test_a_sequential_reader_gets_larger_ranges_that_end_at_a_mebibyte() -> None:
    with _file(_CONTENT) as (file, requested):
        while file.tell() < 8 * _MIB:
            file.read(32 * _KIB)
    assert len(requested) < 32
    assert max(length for _, length in requested) == _MIB
    read_ahead = sum(length for _, length in requested) - 8 * _MIB
    assert 0 <= read_ahead <= _MIB
    for offset, length in requested:
        assert offset // _MIB == (offset + length - 1) // _MIB or offset % _MIB == 0


@pytest.mark.parametrize("read", [lambda file: file.read(20 * _MIB), lambda file: file.read()], ids=["some", "all"])
def test_a_large_read_is_split_and_memory_is_bounded(read: Callable[[RangeFile], bytes]) -> None:
    with _file(_CONTENT) as (file, requested):
        data = read(file)
        assert data == _CONTENT[: len(data)]
        assert len(file._blocks) <= 64
        assert {length for _, length in requested} <= {8 * _MIB, 4 * _MIB}
