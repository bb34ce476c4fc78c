"""A task that is cancelled during a call to Redis raises CancelledError."""

from __future__ import annotations

import asyncio
import random

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from pipeline.tasks import end_tasks
from tests.contract.redis.uploads import VOLUME, Play

pytestmark = pytest.mark.contract


async def test_no_cancellation_is_swallowed(play: Play) -> None:
    """redis-py swallowed one in every third run of this test."""
    dice = random.Random(1)
    job = StageJob("nobody", Stage.TRANSFER, 1, VOLUME)

    async def beat() -> None:
        while True:
            try:
                await play.stages.renew(job)
            except StageLost:
                await asyncio.sleep(0)

    async def one() -> bool:
        beating = asyncio.create_task(beat())
        await asyncio.sleep(dice.random() / 250)
        beating.cancel()
        await asyncio.wait({beating}, timeout=60)
        ended = beating.done()
        await end_tasks(beating)
        return ended

    for _ in range(20):
        assert all(await asyncio.gather(*(one() for _ in range(12))))
