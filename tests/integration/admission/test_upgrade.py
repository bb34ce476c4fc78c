"""A release without owners has queued and admitted uploads of this volume, before or while this release runs."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.windows import BLOCK_BYTES
from tests.harness.queues import Queue, open_queue
from tests.harness.redis_calls import reply
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.integration


async def transaction(queue: Queue, *commands: tuple[str, tuple[Any, ...]]) -> None:
    async with queue.redis.pipeline(transaction=True) as pipe:
        for part, (command, *arguments) in commands:
            getattr(pipe, command)(queue.key + part, *arguments)
        await pipe.execute()


async def old_request(queue: Queue, name: str, blocks: int) -> None:
    """What the older script did."""
    ticket = await reply(queue.redis.hincrby(queue.key, "tickets", 1))
    await transaction(queue, (":queue", ("zadd", {name: ticket})), (":requests", ("hset", name, blocks * BLOCK_BYTES)))


async def old_admit(queue: Queue, name: str, blocks: int) -> None:
    """It reserves, allocates and confirms."""
    ticket = await queue.redis.zscore(f"{queue.key}:queue", name)
    await transaction(
        queue,
        (":queue", ("zrem", name)),
        (":requests", ("hdel", name)),
        (":tickets", ("hset", name, int(ticket or 0))),
        (":reservations", ("hset", name, blocks * BLOCK_BYTES)),
        (":backed", ("hset", name, blocks * BLOCK_BYTES)),
        (":leases", ("zadd", {name: 2**42})),
        ("", ("hincrby", "reserved_bytes", blocks * BLOCK_BYTES)),
        ("", ("hincrby", "backed_bytes", blocks * BLOCK_BYTES)),
    )


async def old_release(queue: Queue, name: str, blocks: int) -> None:
    await transaction(
        queue,
        (":reservations", ("hdel", name)),
        (":backed", ("hdel", name)),
        (":tickets", ("hdel", name)),
        (":leases", ("zrem", name)),
        ("", ("hincrby", "reserved_bytes", -blocks * BLOCK_BYTES)),
        ("", ("hincrby", "backed_bytes", -blocks * BLOCK_BYTES)),
    )


async def test_uploads_of_the_older_release_are_served_in_order(each_redis: RedisServer, redis_namespace: str) -> None:
    async with open_queue(each_redis.url, redis_namespace, 4) as queue:
        for name in ("old0", "old1", "old2", "old3"):
            await old_request(queue, name, 2)
        await old_admit(queue, "old0", 2)
        assert await queue.run() == ["old1"]
        assert [await queue.position(name) for name in ("old0", "old1", "old2", "old3")] == [0, 0, 1, 2]
        await queue.release("old0", "old1", "old2")
        assert await queue.run() == ["old3"]
        await queue.release("old3")
        assert [key async for key in queue.redis.scan_iter(f"{queue.key}*")] == [queue.key]


async def test_processes_of_both_releases_serve_one_volume(each_redis: RedisServer, redis_namespace: str) -> None:
    async with open_queue(each_redis.url, redis_namespace, 4) as queue:
        assert await queue.request("alice", 2, "a0", "a1", "a2") == ["a0", "a1"]
        await old_request(queue, "old0", 1)
        assert await queue.request("bob", 1, "b0") == []
        await old_release(queue, "a0", 2)
        await old_admit(queue, "a2", 2)
        assert await queue.run() == []
        await queue.release("a1")
        assert await queue.run() == ["b0", "old0"]
        uploads = await reply(queue.redis.hgetall(f"{queue.key}:owner-uploads"))
        assert uploads == {"alice": "1", "bob": "1", "default": "1"}
        await queue.release("a0", "a2", "b0", "old0")
        assert [key async for key in queue.redis.scan_iter(f"{queue.key}*")] == [queue.key]


async def test_any_number_of_uploads_is_taken_over_and_admitted_at_once(
    each_redis: RedisServer, redis_namespace: str
) -> None:
    """More fields of one hash than Lua takes as arguments of one command."""
    names = [f"old{number:04}" for number in range(4500)]
    async with open_queue(each_redis.url, redis_namespace, len(names)) as queue:
        await transaction(
            queue,
            (":queue", ("zadd", {name: number for number, name in enumerate(names, 1)})),
            (":requests", ("hset", None, None, dict.fromkeys(names, BLOCK_BYTES))),
            ("", ("hset", "tickets", len(names))),
        )
        assert await queue.run() == names
        assert await reply(queue.redis.hlen(f"{queue.key}:reservations")) == len(names)
        assert await queue.run() == []
