"""Supervised loops end when their worker stops."""

from __future__ import annotations

import asyncio

import pytest

from pipeline import tasks
from pipeline.core.errors import SluiceError
from tests.harness.losing import LosesCancellations
from workers.loops import Loop, run_loops

pytestmark = pytest.mark.unit


async def test_loops_end_although_a_cancellation_is_lost() -> None:
    works = [LosesCancellations(1), LosesCancellations(0)]
    running = asyncio.create_task(run_loops([Loop("loop", work, 60, 60) for work in works]))
    for work in works:
        await work.running.wait()
    running.cancel()
    async with asyncio.timeout(30 * tasks.AGAIN_SECONDS):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_failure_ends_neither_its_loop_nor_another() -> None:
    calls = {"refused": 0, "broken": 0}
    repeated = asyncio.Event()

    async def refused() -> None:
        calls["refused"] += 1
        raise SluiceError("UPLOAD_NOT_FOUND")

    async def broken() -> None:
        calls["broken"] += 1
        if min(calls.values()) > 2:
            repeated.set()
        raise ValueError("a bug")

    running = asyncio.create_task(run_loops([Loop("one", refused, 0, 0), Loop("two", broken, 0, 0)]))
    async with asyncio.timeout(30):
        await repeated.wait()
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
