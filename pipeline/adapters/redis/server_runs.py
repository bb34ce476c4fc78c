"""Which run of the Redis server responds: another one may have lost what was acknowledged last."""

from __future__ import annotations

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import expect


async def server_run(redis: Redis, keys: Keys) -> str:
    """The run of the server, with the number of switches to another primary if there were any (`Keys.switches`)."""
    with translated():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.info("server")
            pipe.get(keys.switches)
            replies = expect(list, await pipe.execute())
        run = expect(str, expect(dict, replies[0]).get("run_id"))
        return f"{run}.{replies[1]}" if replies[1] else run
