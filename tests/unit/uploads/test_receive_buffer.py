"""`ReceiveBuffer`: the limit holds, requests are served in order, and cancelled requests release their bytes."""

from __future__ import annotations

import asyncio
import random

import pytest

from pipeline.uploads.receive_buffer import ReceiveBuffer

pytestmark = pytest.mark.unit

MIB = 1024 * 1024


async def run_all_tasks() -> None:
    """Run every task until it waits."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_requests_wait_in_order_of_arrival() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(80)
    order: list[str] = []

    async def acquire(name: str, count: int) -> None:
        await buffer.acquire(count)
        order.append(name)

    tasks = [asyncio.create_task(acquire("large", 60)), asyncio.create_task(acquire("small", 5))]
    await run_all_tasks()
    assert order == [], "a small request does not overtake a large one"
    buffer.release(30)
    await run_all_tasks()
    assert order == []
    buffer.release(10)
    await run_all_tasks()
    assert order == ["large"]
    assert buffer.used_bytes == 100
    buffer.release(5)
    await asyncio.gather(*tasks)
    assert (order, buffer.used_bytes) == (["large", "small"], 100)


async def test_a_request_above_the_limit_is_granted_alone() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(1)
    large = asyncio.create_task(buffer.acquire(500))
    await run_all_tasks()
    assert not large.done()
    buffer.release(1)
    await large
    after = asyncio.create_task(buffer.acquire(1))
    await run_all_tasks()
    assert not after.done()
    buffer.release(500)
    await after
    assert buffer.used_bytes == 1


async def test_a_cancelled_request_holds_nothing_and_blocks_no_other() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(100)
    first, second = (asyncio.create_task(buffer.acquire(60)) for _ in range(2))
    await run_all_tasks()
    first.cancel()
    await run_all_tasks()
    buffer.release(100)
    async with asyncio.timeout(5):
        await second
    assert buffer.used_bytes == 60


async def test_a_request_cancelled_just_after_its_grant_releases_its_bytes() -> None:
    buffer = ReceiveBuffer(100)
    await buffer.acquire(100)
    first, second = (asyncio.create_task(buffer.acquire(100)) for _ in range(2))
    await run_all_tasks()
    buffer.release(100)  # grants the first request, whose task has not run yet
    assert buffer.used_bytes == 100
    first.cancel()
    async with asyncio.timeout(5):
        await second
    assert first.cancelled()
    assert buffer.used_bytes == 100
    buffer.release(100)
    assert buffer.used_bytes == 0


async def test_bodies_take_turns_while_much_is_held() -> None:
    buffer = ReceiveBuffer(64 * MIB)
    await buffer.turn()
    await buffer.acquire(15 * MIB)
    await buffer.turn()
    await buffer.acquire(2 * MIB)
    turns = [asyncio.create_task(buffer.turn()) for _ in range(20)]
    await run_all_tasks()
    assert not any(turn.done() for turn in turns)
    buffer.release(2 * MIB)
    await run_all_tasks()
    began = [turn.done() for turn in turns]
    assert 0 < sum(began) < len(turns), "as many as may bring what is left"
    assert began == sorted(began, reverse=True), "in order of arrival"
    async with asyncio.timeout(10):
        await asyncio.gather(*turns)  # the clients of the first have nothing to send


async def test_a_request_that_ends_gives_its_turn_to_the_next() -> None:
    buffer = ReceiveBuffer(64 * MIB)
    await buffer.acquire(20 * MIB)
    first, second = (asyncio.create_task(buffer.turn()) for _ in range(2))
    await run_all_tasks()
    first.cancel()
    buffer.release(20 * MIB)
    async with asyncio.timeout(10):
        await second
    assert first.cancelled()


@pytest.mark.parametrize("seed", range(10))
async def test_the_limit_holds_under_random_load_and_every_request_ends(seed: int) -> None:
    """Requests of random sizes; some are cancelled while they wait."""
    dice = random.Random(seed)
    buffer = ReceiveBuffer(1_000)
    peak_bytes = 0

    async def hold(count: int, rounds: int) -> None:
        nonlocal peak_bytes
        await buffer.acquire(count)
        try:
            peak_bytes = max(peak_bytes, buffer.used_bytes)
            for _ in range(rounds):
                await asyncio.sleep(0)
        finally:
            buffer.release(count)

    tasks = [asyncio.create_task(hold(dice.randint(1, 600), dice.randrange(5))) for _ in range(200)]
    for task in dice.sample(tasks, 60):
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert 600 < peak_bytes <= 1_000
    assert buffer.used_bytes == 0
