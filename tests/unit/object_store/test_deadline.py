"""A deadline holds also for work that does not hear that it shall end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from pipeline.adapters.object_store.http.deadline import within

pytestmark = pytest.mark.unit


async def test_what_ends_in_time_gives_its_result_or_its_error() -> None:
    async def result() -> int:
        return 7

    async def error() -> int:
        raise KeyError("x")

    assert await within(10, result()) == 7
    with pytest.raises(KeyError):
        await within(10, error())


async def test_work_that_swallows_the_first_request_to_end_is_ended_all_the_same() -> None:
    asked = 0

    async def deaf() -> None:
        nonlocal asked
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            asked += 1
            if asked == 2:
                raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await within(0.01, deaf())
    assert asked == 2


async def test_whoever_waits_may_be_cancelled_and_the_work_ends_with_him() -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(within(60, work()))
    await began.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
