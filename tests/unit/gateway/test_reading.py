"""`SharedReads`: how much is read at once, and what a body may have unread."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from gateway.http.reading import BUFFER_BYTES, LARGE_READ_BYTES, SharedReads

pytestmark = pytest.mark.unit

MANY = 100


def body() -> StreamReader:
    loop = asyncio.get_running_loop()
    return StreamReader(BaseProtocol(loop, None), BUFFER_BYTES, loop=loop)


def limit_bytes(of: StreamReader) -> int:
    """Reading from the socket stops when more is unread."""
    return of.get_read_buffer_limits()[1]


def shared(crowded_bytes: int = 10**9) -> SharedReads:
    """Bodies are crowded once so many bytes are unread."""
    return SharedReads(lambda unread_bytes: unread_bytes >= crowded_bytes)


async def test_much_is_read_of_bodies_and_little_of_heads() -> None:
    reads, one = shared(), body()
    assert len(reads.buffer(in_body=False)) < LARGE_READ_BYTES, "a head is short"
    reads.begin_body(one)
    assert len(reads.buffer(in_body=True)) == LARGE_READ_BYTES
    assert limit_bytes(one) == 2 * LARGE_READ_BYTES


async def test_little_is_read_of_many_bodies_that_are_crowded() -> None:
    reads, bodies = shared(crowded_bytes=1_000), [body() for _ in range(MANY)]
    reads.begin_body(bodies[0])
    reads.hold(1_000)
    assert len(reads.buffer(in_body=True)) == LARGE_READ_BYTES, "few bodies are bounded by their own limits"
    assert not reads.are_many
    for other in bodies[1:]:
        reads.begin_body(other)
    assert reads.are_many
    assert len(reads.buffer(in_body=True)) < LARGE_READ_BYTES
    reads.release(1_000)
    assert len(reads.buffer(in_body=True)) == LARGE_READ_BYTES
    for _ in bodies:
        reads.end_body()
    assert not reads.are_many


def test_what_was_read_is_copied() -> None:
    reads = shared()
    reads.buffer(in_body=False)[:5] = b"first"
    taken = reads.take(5)
    reads.buffer(in_body=False)[:5] = b"other"
    assert taken == b"first"
