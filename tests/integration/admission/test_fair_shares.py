"""Owners take turns in the script: what one owner queues or holds does not keep others waiting."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from pipeline.core.admission import OwnerShare
from pipeline.core.windows import BLOCK_BYTES
from tests.harness.queues import Queue, open_queue
from tests.harness.redis_calls import reply
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.integration


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:04}" for number in range(count)]


async def is_empty(queue: Queue) -> None:
    """Of an empty volume only its hash remains."""
    found = [key async for key in queue.redis.scan_iter(f"{queue.key}*")]
    assert found == [queue.key]


async def test_a_thousand_waiting_uploads_delay_another_owner_by_one(
    each_redis: RedisServer, redis_namespace: str
) -> None:
    async with open_queue(each_redis.url, redis_namespace, 1) as queue:
        assert await queue.request("alice", 1, *names("a", 1000)) == ["a0000"]
        for number in range(20):
            await queue.release(f"a{number:04}")
            assert await queue.run() == [f"a{number + 1:04}"]
        assert await queue.request("bob", 1, "b") == []
        assert await queue.position("b") <= 2
        assert await queue.position("a0999") == 980, "979 and bob's, of which one is served before"
        await queue.release("a0020")
        order = await queue.one_after_another()
        assert order.index("b") <= 1
        assert sorted(order) == [*names("a", 1000)[21:], "b"]
        await is_empty(queue)


async def test_positions_are_the_order_of_admission(each_redis: RedisServer, redis_namespace: str) -> None:
    async with open_queue(each_redis.url, redis_namespace, 6, max_overtakes=0) as queue:
        await queue.request("dave", 6, "holder")
        for number in range(12):
            for owner, blocks in (("alice", 1), ("bob", 3), ("carol", 6)):
                if number < 12 // blocks:
                    await queue.request(owner, blocks, f"{owner}-{number:02}")
        waiting = await queue.redis.zrange(f"{queue.key}:queue", 0, -1)
        positions = {name: await queue.position(name) for name in waiting}
        assert sorted(positions.values()) == list(range(1, len(waiting) + 1))
        for name in sorted(waiting, key=positions.__getitem__):
            await queue.release("holder")
            assert await queue.position(name) in (0, 1)
            await queue.run()
            assert await queue.position(name) == 0, name
            await queue.release(name)
        await is_empty(queue)


async def test_a_head_that_needs_much_is_not_starved_by_new_owners(
    each_redis: RedisServer, redis_namespace: str
) -> None:
    async with open_queue(each_redis.url, redis_namespace, 4) as queue:
        await queue.request("alice", 1, "small")
        assert await queue.request("alice", 4, "giant") == []
        admitted: list[str] = []
        for number in range(30):
            admitted += await queue.request(f"owner{number:02}", 1, f"n{number:02}")
            assert await queue.position("giant") == 1
        assert admitted == ["n00", "n01"], "only those that may overtake"
        await queue.release("small", *admitted)
        assert await queue.run() == ["giant"]
        await queue.release("giant")
        assert len(await queue.one_after_another()) == 28
        await is_empty(queue)


async def test_one_owner_holds_no_more_than_its_share(each_redis: RedisServer, redis_namespace: str) -> None:
    share = OwnerShare(reserved_bytes=9 * BLOCK_BYTES, uploads=4)
    async with open_queue(each_redis.url, redis_namespace, 12, share=share) as queue:
        assert await queue.request("alice", 2, *names("a", 40), journal_blocks=1) == ["a0000", "a0001", "a0002"]
        assert await queue.request("bob", 1, *names("b", 40)) == ["b0000", "b0001", "b0002"], "the rest of the volume"
        await queue.release("b0000", "b0001", "b0002")
        assert len(await queue.run()) == 3
        assert await queue.position("b0006") == 1 + await queue.position("a0003") or await queue.position("b0006") <= 2
        await queue.release(*names("a", 3))
        assert len([name for name in await queue.run() if name.startswith("a")]) >= 2, "no credit, no penalty"
        assert await reply(queue.redis.hget(f"{queue.key}:owner-uploads", "bob")) in ("3", "4")
        await queue.release(*names("a", 40), *names("b", 40))
        assert await queue.request("carol", 12, "c0") == ["c0"], "one upload it always may"
        assert await queue.request("carol", 1, "c1") == []
        await queue.release("c0")
        assert await queue.run() == ["c1"]
        await queue.release("c1")
        await is_empty(queue)


async def test_one_owner_alone_is_served_first_come_first_served(each_redis: RedisServer, redis_namespace: str) -> None:
    async with open_queue(each_redis.url, redis_namespace, 10, max_overtakes=2) as queue:
        for name, blocks in {"a": 5, "head": 8, "b": 1, "c": 1, "d": 1}.items():
            await queue.request("default", blocks, name)
        assert set(await queue.ledger.holders()) == {"a", "b", "c"}, "the head is overtaken twice"
        assert [await queue.position(name) for name in ("a", "head", "d")] == [0, 1, 2]
        await queue.release("a", "b", "c")
        assert await queue.run() == ["d", "head"]


async def test_positions_among_many_owners_are_estimated(each_redis: RedisServer, redis_namespace: str) -> None:
    async with open_queue(each_redis.url, redis_namespace, 1) as queue:
        await queue.request("first", 1, "holder")
        for round_ in range(3):
            for number in range(100):
                await queue.request(f"o{number:02}", 1, f"u{number:02}-{round_}")
        for round_, number in ((0, 0), (0, 99), (1, 50), (2, 99)):
            exact = 100 * round_ + number + 1
            assert abs(await queue.position(f"u{number:02}-{round_}") - exact) <= 100


async def calls_of(client: Redis) -> int:
    """How many commands Redis has run so far, those of scripts included."""
    stats: dict[str, dict[str, Any]] = await client.info("commandstats")
    return sum(int(entry["calls"]) for entry in stats.values())


async def test_a_run_and_a_position_cost_the_same_however_many_wait(
    each_redis: RedisServer, redis_namespace: str
) -> None:
    """Counted in commands that Redis runs, of which it runs more than a million per second."""
    share = OwnerShare(reserved_bytes=10**12, uploads=100)
    async with open_queue(each_redis.url, redis_namespace, 1, share=share, max_overtakes=16, lookahead=64) as queue:
        await queue.request("first", 1, "holder")
        costs: dict[int, list[int]] = {}
        for owners in (40, 160):
            for number in range(owners):
                own = [f"u{owners}-{number:03}-{index}" for index in range(5)]
                await asyncio.gather(*(queue.request(f"o{owners}-{number:03}", 2, name) for name in own))
            costs[owners] = []
            for step in (queue.run, partial(queue.position, f"u{owners}-{owners - 1:03}-4")):
                before = await calls_of(queue.redis)
                await step()
                costs[owners].append(await calls_of(queue.redis) - before)
        for few, many in zip(costs[40], costs[160], strict=True):
            assert many <= 1.1 * few
            assert many < 600
