"""Errors of a real Redis that runs but takes no commands."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from pipeline.adapters.redis.errors import translated
from pipeline.core.errors import DependencyUnavailable
from tests.contract.redis.uploads import Play, until

pytestmark = pytest.mark.integration

_THRESHOLD = "lua-time-limit"  # milliseconds; newer servers also call it busy-reply-threshold
_FOR_EVER = "while true do end"


async def test_a_script_that_runs_for_too_long_makes_redis_unavailable(play: Play, redis_url: str) -> None:
    redis = play.parts.client
    other: Redis = Redis.from_url(redis_url)
    before = (await redis.config_get(_THRESHOLD))[_THRESHOLD]
    await redis.config_set(_THRESHOLD, 1)
    running = asyncio.ensure_future(other.eval(_FOR_EVER, 0))  # type: ignore[arg-type]  # as below
    try:

        async def is_busy() -> bool:
            try:
                with translated():
                    await redis.ping()
            except DependencyUnavailable as error:
                return error.code == "REDIS_UNAVAILABLE" and "BUSY" in error.message
            return False

        await until(is_busy)
    finally:
        await redis.script_kill()
        with pytest.raises(ResponseError):
            await running
        await redis.config_set(_THRESHOLD, before)
        await other.aclose()


async def test_an_error_in_a_script_is_not_translated(play: Play) -> None:
    with pytest.raises(ResponseError), translated():
        await play.parts.client.eval("return nothing.at_all", 0)  # type: ignore[misc]  # redis-py types sync and async in one
