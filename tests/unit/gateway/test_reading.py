"""`SharedReads`: how much is read at once, and what a body may have unread."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from gateway.http.reading import BODY_BUFFER_BYTES, LARGE_READ_BYTES, SharedReads

pytestmark = pytest.mark.unit

MANY = 100


def body() -> StreamReader:
    loop = asyncio.get_running_loop()
    return StreamReader(BaseProtocol(loop, None), BODY_BUFFER_BYTES, loop=loop)


def limit_bytes(of: StreamReader) -> int:
    """Reading from the socket stops when more is unread."""
    return of.get_read_buffer_limits()[1]


async def test_much_is_read_of_few_bodies_and_little_of_many() -> None:
    reads, bodies = SharedReads(), [body() for _ in range(MANY)]
    assert len(reads.buffer(in_body=False)) == BODY_BUFFER_BYTES, "a head is short"
    reads.begin_body(bodies[0])
    assert len(reads.buffer(in_body=True)) == LARGE_READ_BYTES
    for other in bodies[1:]:
        reads.begin_body(other)
    assert len(reads.buffer(in_body=True)) == BODY_BUFFER_BYTES
    for _ in bodies[1:]:
        reads.end_body()
    assert len(reads.buffer(in_body=True)) == LARGE_READ_BYTES


async def test_only_few_bodies_may_have_much_unread() -> None:
    reads, bodies = SharedReads(), [body() for _ in range(MANY)]
    for one in bodies:
        reads.begin_body(one)
    large = [one for one in bodies if limit_bytes(one) == 2 * LARGE_READ_BYTES]
    assert 0 < len(large) < MANY / 2
    assert {limit_bytes(one) for one in bodies if one not in large} == {2 * BODY_BUFFER_BYTES}


def test_what_was_read_is_copied() -> None:
    reads = SharedReads()
    reads.buffer(in_body=False)[:5] = b"first"
    taken = reads.take(5)
    reads.buffer(in_body=False)[:5] = b"other"
    assert taken == b"first"
