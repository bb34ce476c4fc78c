"""A transfer that has to stop while segments are in the air: none of them flies on when it has said that it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage
from pipeline.engine.contract import StageRun
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import PendingSegments
from pipeline.stages.transfer import Transfer

pytestmark = pytest.mark.unit


class SlowStore:
    """Takes a segment when it is told to; counts those that are under way."""

    def __init__(self) -> None:
        self.under_way = 0
        self.may_end = asyncio.Event()

    async def put_segment(self, target: Any, source: Any) -> None:
        self.under_way += 1
        try:
            await self.may_end.wait()
        finally:
            self.under_way -= 1


class LostBoard:
    """Two segments wait; whoever asks again has lost the stage."""

    def __init__(self) -> None:
        self.asked = 0

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        self.asked += 1
        if self.asked > 1:
            raise StageLost("STAGE_LOST", stage=str(job.stage))
        return PendingSegments({1: 0, 2: 0}, complete=False)

    async def segment_stored(self, job: StageJob, segment: Any) -> None:
        raise StageLost("STAGE_LOST", stage=str(job.stage))


class Changes:
    """The upload has changed once."""

    @asynccontextmanager
    async def watch(self, upload_id: str) -> AsyncIterator[AsyncIterator[None]]:
        async def changes() -> AsyncIterator[None]:
            yield
            await asyncio.Event().wait()

        yield changes()


async def test_a_run_that_is_cancelled_while_it_lands_still_lands() -> None:
    store, board = SlowStore(), LostBoard()
    upload = SimpleNamespace(
        upload_id="u", content_type="video/mp4", plan=SegmentPlan(20, 10), target_session="s", store="x"
    )
    cell = SimpleNamespace(segments=board, record=board, volume=SimpleNamespace(source=lambda *place: None))
    transfer = Transfer(
        cast("Any", cell),
        cast("Any", None),
        cast("Any", SimpleNamespace(named=lambda name: store)),
        SegmentLimiter(4),
        cast("Any", Changes()),
    )
    job = StageJob("u", Stage.TRANSFER, 1, "v")
    work = asyncio.ensure_future(transfer(StageRun(job, cast("Any", upload))))
    async with asyncio.timeout(10):
        while not (board.asked > 1 and store.under_way == 2):  # noqa: ASYNC110  # what the other task does
            await asyncio.sleep(0)
        for _ in range(3):  # its heartbeat, its worker's end: cancelled more than once
            work.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
        assert not work.done()
        store.may_end.set()
        with pytest.raises((asyncio.CancelledError, StageLost)):
            await work
    assert store.under_way == 0
