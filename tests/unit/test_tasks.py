"""`end_tasks` ends tasks that lose a cancellation."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from pipeline.tasks import end_tasks
from tests.harness.losing import LosesCancellations

pytestmark = pytest.mark.unit

SOON = 0.01


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_tasks_end_although_cancellations_are_lost(lost: int) -> None:
    works = [LosesCancellations(lost), LosesCancellations(0)]
    tasks = [await work.started() for work in works]
    async with asyncio.timeout(30):
        assert await end_tasks(*tasks, again_seconds=SOON)
    assert all(task.cancelled() for task in tasks)
    assert [work.cancellations for work in works] == [lost + 1, 1]


async def test_a_task_that_cleans_up_is_not_cancelled_again() -> None:
    cleaned_up = asyncio.Event()
    running = asyncio.Event()

    async def work() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.set()

    task = asyncio.create_task(work())
    await running.wait()
    assert await end_tasks(task)
    assert cleaned_up.is_set()


async def test_a_task_that_never_ends_is_given_up() -> None:
    work = LosesCancellations(10**6)
    task = await work.started()
    assert not await end_tasks(task, again_seconds=SOON, most_seconds=5 * SOON)
    assert work.cancellations > 1
    work.most_lost = 0
    assert await end_tasks(task)


async def test_a_cancelled_caller_waits_for_the_task() -> None:
    work = LosesCancellations(2)
    task = await work.started()
    caller = asyncio.create_task(end_tasks(task, again_seconds=SOON))
    await work.cancelled.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert task.cancelled()


async def test_errors_count_as_retrieved() -> None:
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("no") from None

    tasks = [asyncio.create_task(fails()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert await end_tasks(*tasks)
    tasks.clear()
    gc.collect()
    assert found == []


async def test_nothing_to_end() -> None:
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    assert await end_tasks()
    assert await end_tasks(None, ended)
