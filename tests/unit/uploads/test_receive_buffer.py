"""The bound for bytes in memory: never exceeded, never a reason to wait for a slow client, always given back."""

from __future__ import annotations

import asyncio
import random

import pytest

from pipeline.uploads.receive_buffer import ReceiveBuffer

pytestmark = pytest.mark.unit


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_who_does_not_fit_waits_its_turn() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(80)
    order: list[str] = []

    async def take(name: str, count: int) -> None:
        await buffer.acquire(count)
        order.append(name)

    tasks = [asyncio.create_task(take("large", 60)), asyncio.create_task(take("small", 5))]
    await settle()
    assert order == [], "the small one does not pass: first come, first served"
    buffer.release(30)
    await settle()
    assert order == []
    buffer.release(10)
    await settle()
    assert order == ["large"]
    assert buffer.used_bytes == 100
    buffer.release(5)
    await asyncio.gather(*tasks)
    assert (order, buffer.used_bytes) == (["large", "small"], 100)


async def test_what_is_larger_than_the_limit_is_let_in_alone() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(1)
    large = asyncio.create_task(buffer.acquire(500))
    await settle()
    assert not large.done()
    buffer.release(1)
    await large
    after = asyncio.create_task(buffer.acquire(1))
    await settle()
    assert not after.done()
    buffer.release(500)
    await after
    assert buffer.used_bytes == 1


async def test_who_is_cancelled_takes_nothing_and_blocks_nobody() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(100)
    first, second = (asyncio.create_task(buffer.acquire(60)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    buffer.release(100)
    async with asyncio.timeout(5):
        await second
    assert buffer.used_bytes == 60


async def test_who_is_cancelled_in_the_moment_of_its_turn_gives_back() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(100)
    first, second = (asyncio.create_task(buffer.acquire(100)) for _ in range(2))
    await settle()
    buffer.release(100)  # it is the first one's turn, but it has not run yet
    assert buffer.used_bytes == 100
    first.cancel()
    async with asyncio.timeout(5):
        await second
    assert first.cancelled()
    assert buffer.used_bytes == 100
    buffer.release(100)
    assert buffer.used_bytes == 0


@pytest.mark.parametrize("seed", range(10))
async def test_in_any_crowd_the_limit_holds_and_all_come_through(seed: int) -> None:
    """Takers of any size, some cancelled while they wait."""
    dice = random.Random(seed)
    buffer = ReceiveBuffer(1_000)
    most = 0

    async def one(count: int, pause: int) -> None:
        nonlocal most
        await buffer.acquire(count)
        try:
            most = max(most, buffer.used_bytes)
            for _ in range(pause):
                await asyncio.sleep(0)
        finally:
            buffer.release(count)

    tasks = [asyncio.create_task(one(dice.randint(1, 600), dice.randrange(5))) for _ in range(200)]
    for task in dice.sample(tasks, 60):
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert 600 < most <= 1_000
    assert buffer.used_bytes == 0
