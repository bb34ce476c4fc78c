"""`within` ends work at its deadline, even when the work swallows its cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from pipeline.adapters.object_store.s3.deadline import within

pytestmark = pytest.mark.unit


async def test_work_that_ends_in_time_returns_its_result_or_raises_its_error() -> None:
    async def result() -> int:
        return 7

    async def error() -> int:
        raise KeyError("x")

    assert await within(10, result()) == 7
    with pytest.raises(KeyError):
        await within(10, error())


async def test_work_that_swallows_its_first_cancellation_is_cancelled_again() -> None:
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            cancellations += 1
            if cancellations == 2:
                raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        await within(0.01, stubborn())
    assert cancellations == 2


async def test_cancelling_the_caller_ends_the_work() -> None:
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
