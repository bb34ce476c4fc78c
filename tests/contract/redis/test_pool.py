"""The pool of connections to Redis: bounded, fair, and never smaller because a caller has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from pipeline.adapters.redis import pool as pool_module
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.pool import SideBySidePool, transaction
from pipeline.core.errors import DependencyUnavailable
from pipeline.tasks import end_tasks
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

MOST = 4


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis(connection_pool=SideBySidePool.from_url(redis_url, max_connections=MOST, client_name="bounded"))
    yield client
    await client.aclose(close_connection_pool=True)


async def connections(redis: Redis) -> int:
    return sum(client["name"] == "bounded" for client in await redis.client_list())


async def _blocking(redis: Redis) -> object:
    return await reply(redis.blpop(["nothing"], timeout=60))


async def _ping(redis: Redis) -> bool:
    return bool(await redis.ping())


async def all_but(redis: Redis, free: int) -> list[asyncio.Task[object]]:
    """Keep connections busy with a command that blocks, until `free` are left."""
    blocked = [asyncio.create_task(_blocking(redis)) for _ in range(MOST - free)]
    pool = redis.connection_pool
    async with asyncio.timeout(60):
        while len(pool._in_use_connections) < MOST - free:  # noqa: ASYNC110  # the pool cannot be awaited
            await asyncio.sleep(0.01)
    return blocked


async def test_a_thousand_callers_share_a_few_connections(redis: Redis) -> None:
    replies = await asyncio.gather(*(redis.incr("pool:count") for _ in range(1000)))
    assert sorted(replies) == list(range(1, 1001))
    assert await connections(redis) == MOST


async def test_a_caller_waits_for_a_connection_and_then_gets_the_error_of_an_outage(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "WAIT_SECONDS", 0.5)
    blocked = await all_but(redis, 0)
    with pytest.raises(DependencyUnavailable) as raised, translated():
        await redis.ping()
    assert raised.value.code == "REDIS_UNAVAILABLE"
    assert "all 4 connections" in raised.value.message
    await end_tasks(*blocked)
    monkeypatch.undo()
    assert await redis.ping()


async def test_a_connection_that_comes_back_goes_to_the_one_that_waits(redis: Redis) -> None:
    blocked = await all_but(redis, 0)
    waiting = asyncio.create_task(_ping(redis))
    await asyncio.sleep(0)
    blocked[0].cancel()
    assert await waiting
    await end_tasks(*blocked)


async def test_callers_that_leave_take_no_connection_with_them(redis: Redis) -> None:
    for _ in range(3):
        blocked = await all_but(redis, 0)
        waiting = [asyncio.create_task(_ping(redis)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in (*waiting, *blocked):
            task.cancel()
        await asyncio.gather(*waiting, *blocked, return_exceptions=True)
    assert all(await asyncio.gather(*(redis.ping() for _ in range(MOST * 3))))
    assert await connections(redis) <= MOST


async def _broken_transaction(redis: Redis) -> None:
    async with transaction(redis) as pipe:
        pipe.set("pool:other", "text")
        pipe.execute_command("NO-SUCH-COMMAND")
        await pipe.execute()


async def test_transactions_and_failed_ones_give_their_connection_back(redis: Redis) -> None:
    for _ in range(MOST * 2):
        with pytest.raises(DependencyUnavailable), translated():
            await _broken_transaction(redis)
    assert all(await asyncio.gather(*(redis.ping() for _ in range(MOST * 3))))


async def test_a_server_that_cannot_be_reached_uses_up_nothing() -> None:
    client = Redis(connection_pool=SideBySidePool.from_url("redis://127.0.0.1:9/0", max_connections=MOST))
    for _ in range(MOST * 2):
        with pytest.raises(DependencyUnavailable) as raised, translated():
            await client.ping()
        assert "connections" not in raised.value.message
    await client.aclose(close_connection_pool=True)
