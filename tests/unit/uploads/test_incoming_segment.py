"""`IncomingSegment`: exactly the expected bytes, in bounded memory and time; all buffer space is released."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterable, Sequence

import google_crc32c
import pytest

from pipeline.core.errors import RequestError, TempVolumeError
from pipeline.core.model import ClientDigest
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.incoming_segment import IncomingSegment
from pipeline.uploads.receive_buffer import ReceiveBuffer

pytestmark = pytest.mark.unit

MEBIBYTE = 1024 * 1024
LONG_LIMITS = ReceiveRules(stall_seconds=30, deadline_seconds=60)
DATA = random.Random(5).randbytes(9 * MEBIBYTE + 77)


class Sink:
    """Keeps what is written in memory; stands in for `TempVolume.write`."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.calls: list[tuple[int, int]] = []

    async def write(self, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        assert offset == len(self.data), "blocks are written in order"
        await asyncio.sleep(0)
        for block in blocks:
            self.data += block
            crc32c = google_crc32c.extend(crc32c, block)
        self.calls.append((offset, len(self.data) - offset))
        return crc32c


async def blocks_of(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def body(
    sink: Sink,
    size: int,
    digests: Iterable[ClientDigest] = (),
    buffer: ReceiveBuffer | None = None,
    rules: ReceiveRules = LONG_LIMITS,
) -> IncomingSegment:
    return IncomingSegment(3, size, list(digests), sink.write, buffer or ReceiveBuffer(64 * MEBIBYTE), rules)


def digest(algorithm: str, data: bytes) -> ClientDigest:
    if algorithm == "crc32c":
        return ClientDigest(algorithm, google_crc32c.value(data).to_bytes(4, "big"))
    return ClientDigest(algorithm, hashlib.new(algorithm.replace("-", ""), data, usedforsecurity=False).digest())


ALGORITHMS = ("sha-256", "md5", "crc32c")


async def error_of(call: asyncio.Future[int] | asyncio.Task[int]) -> RequestError:
    """The RequestError that `call` raises."""
    with pytest.raises(RequestError) as raised:
        await call
    return raised.value


async def test_all_bytes_are_written_in_batches_and_verified() -> None:
    sink, buffer = Sink(), ReceiveBuffer(64 * MEBIBYTE)
    digests = [digest(algorithm, DATA) for algorithm in ALGORITHMS]
    assert await body(sink, len(DATA), digests, buffer).drain(blocks_of(DATA)) == google_crc32c.value(DATA)
    assert sink.data == DATA
    assert [count for _, count in sink.calls][:-1] == [MEBIBYTE] * 9
    assert buffer.used_bytes == 0


@pytest.mark.parametrize("size", [1, 65_536, 65_537])
async def test_blocks_of_any_size(size: int) -> None:
    sink, data = Sink(), DATA[:70_000]
    assert await body(sink, len(data)).drain(blocks_of(data, size)) == google_crc32c.value(data)
    assert sink.data == data


@pytest.mark.parametrize("received", [0, 1, 99, 101, 100_000])
async def test_a_wrong_length_is_refused(received: int) -> None:
    sink, buffer = Sink(), ReceiveBuffer(MEBIBYTE)
    drained = asyncio.ensure_future(body(sink, 100, (), buffer).drain(blocks_of(DATA[:received], 50)))
    error = await error_of(drained)
    assert error.code == "SEGMENT_LENGTH_WRONG"
    assert error.detail["expected_bytes"] == 100
    assert len(sink.data) <= 100, "nothing is written beyond the expected length"
    assert buffer.used_bytes == 0


async def test_an_endless_body_is_refused_once_it_exceeds_its_length() -> None:
    blocks_read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal blocks_read
        while True:
            blocks_read += 1
            yield bytes(100)

    assert (await error_of(asyncio.ensure_future(body(Sink(), 1_000).drain(endless())))).code == "SEGMENT_LENGTH_WRONG"
    assert blocks_read == 11


@pytest.mark.parametrize("wrong", ALGORITHMS)
async def test_a_wrong_digest_is_refused(wrong: str) -> None:
    data = DATA[:1000]
    digests = [digest(algorithm, data if algorithm != wrong else b"other") for algorithm in ALGORITHMS]
    error = await error_of(asyncio.ensure_future(body(Sink(), len(data), digests).drain(blocks_of(data))))
    assert (error.code, error.detail["algorithm"]) == ("SEGMENT_DIGEST_WRONG", wrong)


async def then_stalls(data: bytes) -> AsyncIterator[bytes]:
    yield data
    await asyncio.Event().wait()


async def trickles() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("source", "rules"),
    [(then_stalls(b"some"), ReceiveRules(0.05, 60)), (trickles(), ReceiveRules(60, 0.1))],
    ids=["stalls", "trickles"],
)
async def test_a_body_that_exceeds_a_time_limit_is_refused(source: AsyncIterator[bytes], rules: ReceiveRules) -> None:
    buffer = ReceiveBuffer(MEBIBYTE)
    error = await error_of(asyncio.ensure_future(body(Sink(), 10**9, (), buffer, rules).drain(source)))
    assert (error.code, error.retryable) == ("SEGMENT_STALLED", True)
    assert buffer.used_bytes == 0


async def test_a_lost_connection_releases_the_buffer() -> None:
    async def disconnects() -> AsyncIterator[bytes]:
        yield bytes(1_000)
        raise ConnectionResetError("reset by peer")

    buffer = ReceiveBuffer(MEBIBYTE)
    error = await error_of(asyncio.ensure_future(body(Sink(), 5_000, (), buffer).drain(disconnects())))
    assert (error.code, buffer.used_bytes) == ("SEGMENT_CUT_OFF", 0)


async def test_a_failed_write_releases_the_buffer() -> None:
    async def fail(offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        raise TempVolumeError("TEMP_VOLUME_FULL", reason="no space")

    buffer = ReceiveBuffer(64 * MEBIBYTE)
    drained = IncomingSegment(1, len(DATA), [digest("md5", DATA)], fail, buffer, LONG_LIMITS).drain(blocks_of(DATA))
    with pytest.raises(TempVolumeError):
        await drained
    assert buffer.used_bytes == 0


async def test_cancellation_releases_the_buffer() -> None:
    buffer = ReceiveBuffer(MEBIBYTE)
    task = asyncio.create_task(body(Sink(), 10**6, (), buffer).drain(then_stalls(bytes(1_000))))
    while buffer.used_bytes == 0:  # noqa: ASYNC110  # the buffer has no event to wait for
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert buffer.used_bytes == 0


async def test_stalled_clients_do_not_block_fast_ones() -> None:
    """A hundred clients that stall in mid-body hold at most half of the buffer; fast clients share the other half."""
    limit = MEBIBYTE
    buffer = ReceiveBuffer(limit)
    peak_bytes = 0
    stalled = [
        asyncio.create_task(body(Sink(), 10**6, (), buffer).drain(then_stalls(bytes(65_536)))) for _ in range(100)
    ]
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert 0 < buffer.used_bytes <= limit // 2

    async def send_fast(number: int) -> None:
        nonlocal peak_bytes
        sink, data = Sink(), DATA[number : number + 3 * MEBIBYTE]

        async def measured() -> AsyncIterator[bytes]:
            nonlocal peak_bytes
            async for block in blocks_of(data):
                yield block
                peak_bytes = max(peak_bytes, buffer.used_bytes)

        assert await body(sink, len(data), (), buffer).drain(measured()) == google_crc32c.value(data)

    async with asyncio.timeout(30):
        await asyncio.gather(*(send_fast(number) for number in range(20)))
    assert peak_bytes <= limit
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    assert buffer.used_bytes == 0
