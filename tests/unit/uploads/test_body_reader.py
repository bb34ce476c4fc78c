"""`BodyReader`: a read that stalls or is interrupted ends with TimeoutError; nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pipeline.uploads.body_reader import BodyReader
from pipeline.uploads.progress import Progress

pytestmark = pytest.mark.unit

LONG = 60.0
SHORT = 0.05


class Body(AsyncIterator[bytes]):
    """A body whose blocks the test sends."""

    def __init__(self) -> None:
        self.blocks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.reads = 0
        """Reads that have begun and not ended."""

    async def __anext__(self) -> bytes:
        self.reads += 1
        try:
            block = await self.blocks.get()
        finally:
            self.reads -= 1
        if block is None:
            raise StopAsyncIteration
        return block


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110  # a counter has no event to wait for
            await asyncio.sleep(0)


async def test_the_blocks_of_a_body_in_order_then_none() -> None:
    body = Body()
    for block in (b"a", b"b", None):
        body.blocks.put_nowait(block)
    with BodyReader(body, LONG) as reader:
        assert [await reader.next() for _ in range(3)] == [b"a", b"b", None]


async def test_a_read_that_waits_too_long_ends() -> None:
    body = Body()
    body.blocks.put_nowait(b"first")
    with BodyReader(body, SHORT) as reader:
        assert await reader.next() == b"first"
        for _ in range(2):  # a second read has the same time
            with pytest.raises(TimeoutError):
                await reader.next()
        body.blocks.put_nowait(b"late")
        assert await reader.next() == b"late"


async def test_what_its_task_does_between_two_reads_does_not_end() -> None:
    body, looked = Body(), asyncio.Event()
    with BodyReader(body, SHORT) as reader:
        asyncio.get_running_loop().call_later(3 * SHORT, looked.set)
        await looked.wait()
        body.blocks.put_nowait(b"block")
        assert await reader.next() == b"block"


async def test_another_task_interrupts_a_read() -> None:
    body = Body()
    with BodyReader(body, LONG) as reader:
        reader.interrupt()  # none waits
        body.blocks.put_nowait(b"block")
        assert await reader.next() == b"block"
        asyncio.get_running_loop().call_soon(reader.interrupt)
        with pytest.raises(TimeoutError):
            await reader.next()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("also_interrupted", [False, True])
async def test_cancellation_stays_cancellation(*, also_interrupted: bool) -> None:
    body, readers = Body(), []

    async def read() -> None:
        with BodyReader(body, LONG) as reader:
            readers.append(reader)
            await reader.next()

    task = asyncio.create_task(read())
    await until(lambda: body.reads == 1)
    if also_interrupted:
        readers[0].interrupt()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_limit_around_it_is_kept_apart() -> None:
    with BodyReader(Body(), LONG) as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT) as around:
                await reader.next()
        assert around.expired()


async def test_a_stalled_body_does_not_renew_the_lease() -> None:
    body, renewed = Body(), []

    async def renew() -> None:
        renewed.append(True)

    body.blocks.put_nowait(bytes(512 * 1024))
    with BodyReader(body, SHORT, Progress(10 * 1024 * 1024, renew, pause_seconds=0)) as reader:
        await reader.next()
        with pytest.raises(TimeoutError):
            await reader.next()
    assert renewed == [True]
